// The hub's closed sets in words for people.

const TAP_KINDS = {
  tap_to_phone: "Tap to phone",
  ring_to_ring: "Ring to ring",
  button: "Button",
  tamper: "Tamper alarm",
};
const SOURCES = { ble: "Bluetooth", sun: "NFC link", reader: "NFC reader", phone: "Phone" };
const RING_STATES = { active: "Active", lost: "Lost", revoked: "Revoked", unclaimed: "Unclaimed" };
const RING_KINDS = { nfc: "NFC", ble: "Bluetooth", dual: "Bluetooth and NFC" };

export const tapKind = (kind) => TAP_KINDS[kind] ?? kind;
export const tapSource = (source) => SOURCES[source] ?? source;
export const ringState = (status) => RING_STATES[status] ?? status;
export const ringKind = (kind) => RING_KINDS[kind] ?? kind;
export const ringName = (ring) => ring?.label || "Unnamed ring";

/** "1 event", "2 events". */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

/** The initials for a round badge. */
export const initials = (name) =>
  name
    .split(/\s+/u)
    .map((part) => [...part][0] ?? "")
    .slice(0, 2)
    .join("")
    .toUpperCase();
