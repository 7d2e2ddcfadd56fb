// What is wanted of a gateway: changed on the revision that was seen; a conflict is shown, not lost.

import { ask, field } from "./ask.js";
import { el } from "./dom.js";
import { announce } from "./notices.js";

const FIELDS = [
  ["health_seconds", "Health report every (seconds)", { type: "number", min: 10, max: 3600, step: 1 }],
  ["connections_per_adapter", "Rings per adapter", { type: "number", min: 1, max: 256, step: 1 }],
  ["latitude", "Latitude", { type: "number", min: -90, max: 90, step: "any" }],
  ["longitude", "Longitude", { type: "number", min: -180, max: 180, step: "any" }],
];

export function configure(gateway, session, changed) {
  const path = `/v1/gateways/${gateway.id}`;
  let revision = gateway.config_rev;
  const name = field("config-name", "Name", { maxlength: 80, required: true });
  name.input.value = gateway.name;
  const fields = FIELDS.map(([key, label, give]) => ({ key, ...field(`config-${key}`, label, { ...give, placeholder: "its own setting" }) }));
  for (const { key, input } of fields) input.value = gateway.config[key] ?? "";
  const shown = el("p", { class: "hint" }, `On revision ${revision}.`);

  // Somebody else's values are shown beside one's own, which stay in the fields.
  const showConflict = async (error) => {
    const present = await session.get(path);
    revision = present.config_rev;
    const theirs = Object.entries(present.config).map(([key, value]) => `${key} ${value}`).join(", ") || "nothing";
    shown.textContent = `Changed meanwhile: revision ${revision} wants ${theirs}. Saving again replaces it.`;
    throw error;
  };

  ask({
    title: `Configure ${gateway.name}`,
    content: [name.row, ...fields.map((item) => item.row), shown],
    confirm: "Save",
    yes: async () => {
      const filled = fields.filter(({ input }) => input.value !== "");
      const config = Object.fromEntries(filled.map(({ key, input }) => [key, Number(input.value)]));
      try {
        await session.patch(path, { name: name.input.value.trim(), config, config_rev: revision });
      } catch (error) {
        if (error.code !== "gateway.revision_conflict") throw error;
        await showConflict(error);
      }
      changed();
      announce(`${gateway.name} is being told.`);
    },
  });
}
