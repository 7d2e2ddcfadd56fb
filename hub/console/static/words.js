// The hub's closed sets in words for people.

const TAP_KINDS = {
  tap_to_phone: "Tap to phone",
  ring_to_ring: "Ring to ring",
  button: "Button",
  tamper: "Tamper alarm",
};
const SOURCES = { ble: "Bluetooth", sun: "NFC link", reader: "NFC reader", phone: "Phone" };
const RING_STATES = { active: "Active", lost: "Lost", revoked: "Revoked", unclaimed: "Unclaimed", released: "Released" };
const RING_KINDS = { nfc: "NFC", ble: "Bluetooth", dual: "Bluetooth and NFC" };

const RING_LINKS = { connected: "Connected", seen: "In reach", lost: "Out of reach" };
const ALERTS = {
  offline: "Away for more than two minutes",
  spool_growing: "Its spool grows",
  spool_old: "A tap waits for more than ten minutes",
  spool_failing: "Its disk takes nothing",
  taps_dropped: "Taps were dropped: the spool was full",
  taps_quarantined: "Taps were put aside: damaged or refused",
  taps_held: "The broker throws taps away",
  taps_rejected: "The hub refused taps",
  clock_wrong: "Its clock is wrong",
  certificate_expiring: "Its certificate ends soon",
  certificate_problem: "Its certificate is not renewed",
  adapter_down: "A Bluetooth adapter fails",
  reader_down: "An NFC reader fails",
};

const BANDS = { thriving: "Thriving", stable: "Stable", cooling: "Cooling", cold: "Cold" };
const TRENDS = { rising: "rising", steady: "steady", falling: "falling" };
const INTERACTIONS = {
  email: "E-mail",
  meeting: "Meeting",
  call: "Call",
  sms: "SMS",
  linkedin_message: "LinkedIn message",
  message: "Message",
  ring_tap: "Ring touch",
  manual: "Contact",
};
const DIRECTIONS = { inbound: "from them", outbound: "from you", mutual: "" };
const IMPORTS = {
  uploaded: "Waits to be read",
  ready: "Tried out: nothing is brought in yet",
  running: "Under way",
  completed: "Brought in",
  failed: "Could not be read",
  cancelled: "Cancelled",
  undoing: "Being taken back",
  undone: "Taken back",
};

const IMPORT_ERRORS = {
  "import.columns_unknown": "its columns are not those of this format",
  "import.empty": "it is empty",
  "import.not_this_format": "it is of another format",
  "import.stalled": "it did not move for two hours; start it again, nothing comes twice",
  "import.too_many": "it has more than 50,000 entries: split it",
  "import.unsafe": "it contains what no such file needs, and what can do harm",
};
const IMPORT_PROBLEMS = {
  address_invalid: "an address is none",
  date_invalid: "a date is none",
  in_future: "has not happened yet",
  no_contact: "with nobody of the address book",
  no_name: "neither a name, a company nor an address",
  no_participant: "with nobody, or with a mailing list",
  not_a_person: "a mailing list or a group, nobody in person",
  too_long: "too long, left out",
  too_many: "too many, left out",
  unfinished: "ends before it is over",
  unreadable: "cannot be read",
};
const IMPORT_REMARKS = {
  columns_ignored: "Columns that nobody knows were left out",
  encoding_guessed: "The encoding was guessed: Windows-1252",
  series_once: "Of some meetings that repeat only the first one was taken",
  time_zone_unknown: "A time zone is unknown: its times were read as UTC",
};
const METHODS = { email: "E-mail", phone: "Telephone", linkedin: "LinkedIn", twitter: "Twitter", url: "Web" };

export const methodWords = (kind) => METHODS[kind] ?? kind;
export const bandWords = (band) => BANDS[band] ?? band;
export const trendWords = (trend) => TRENDS[trend] ?? trend;
export const interactionKind = (kind) => INTERACTIONS[kind] ?? kind;
export const directionWords = (direction) => DIRECTIONS[direction] ?? direction;
export const importError = (code) => IMPORT_ERRORS[code] ?? code;
export const importRemark = (code) => IMPORT_REMARKS[code] ?? code;
export const importProblem = ({ code, field }) => [field.replaceAll("_", " "), IMPORT_PROBLEMS[code] ?? code].filter(Boolean).join(": ");
export const importStatus = (status) => IMPORTS[status] ?? status;
export const ringLink = (link) => RING_LINKS[link] ?? link;
export const alertWords = (alert) => ALERTS[alert] ?? alert;
export const tapKind = (kind) => TAP_KINDS[kind] ?? kind;
export const tapSource = (source) => SOURCES[source] ?? source;
export const ringState = (status) => RING_STATES[status] ?? status;
export const ringKind = (kind) => RING_KINDS[kind] ?? kind;
export const ringName = (ring) => ring?.label || "Unnamed ring";

/** "1 event", "2 events"; "1 process", "2 processes". */
export const count = (number, noun, plural = "s") => `${number} ${noun}${number === 1 ? "" : plural}`;

/** "12 s", "3 min", "5 h", "2 d". */
export function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** The initials for a round badge. */
export const initials = (name) =>
  name
    .split(/\s+/u)
    .map((part) => [...part][0] ?? "")
    .slice(0, 2)
    .join("")
    .toUpperCase();
