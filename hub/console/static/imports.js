// Files that are brought into the address book: tried out first, with their progress as it comes.

import { ask, field } from "./ask.js";
import { busy, byId, el, show, timeOf } from "./dom.js";
import { announce, problem } from "./notices.js";
import { soon } from "./soon.js";
import { importStatus } from "./words.js";

const SHOWN = 10;
const FORMATS = {
  "": "What it seems to be",
  vcard: "vCard (.vcf)",
  google_csv: "Google Contacts (.csv)",
  linkedin_csv: "LinkedIn connections (.csv)",
  outlook_csv: "Outlook (.csv)",
  phone_json: "Address book of a telephone (.json)",
  calendar: "Calendar (.ics)",
  mail: "Mailbox (.mbox, .eml)",
  calls_xml: "SMS Backup & Restore (.xml)",
};
const MOVING = new Set(["uploaded", "running", "undoing"]);

export class Imports {
  #session;
  #onDone;
  #again = soon(() => this.load(), problem);

  constructor(session, { onDone }) {
    this.#session = session;
    this.#onDone = onDone;
    byId("import").onclick = () => this.#choose();
  }

  async load() {
    const page = await this.#session.get(`/v1/imports?limit=${SHOWN}`);
    byId("imports").replaceChildren(...page.items.map((job) => this.#row(job)));
    show(page.items.length === 0, "imports-empty");
  }

  apply({ data }) {
    const known = byId(`import-${data.import_id}`);
    // Numbers change where they stand; another state has other buttons.
    if (known?.dataset.status === data.status && MOVING.has(data.status)) return known.querySelector(".import-state").replaceWith(state(data));
    this.#again();
    if (!MOVING.has(data.status)) {
      announce(`Import: ${importStatus(data.status)}`);
      this.#onDone();
    }
    return undefined;
  }

  #row(job) {
    const actions = [];
    const act = (words, deed, tone = "plain") => {
      const button = el("button", { type: "button", class: tone, click: () => busy(button, () => this.#act(job, deed)) }, words);
      actions.push(button);
    };
    if (job.status === "ready") act("Bring it in", "start", "primary");
    if (["ready", "uploaded", "running"].includes(job.status)) act("Cancel", "cancel");
    if (["completed", "failed", "cancelled"].includes(job.status) && job.items_created > 0) act("Take it back", "undo");
    const name = job.file_name ?? FORMATS[job.format] ?? job.format;
    return el(
      "li",
      { id: `import-${job.id}`, "data-status": job.status },
      el("h3", {}, name),
      el("p", { class: "hint" }, timeOf(job.created_at)),
      state(job),
      ...(job.status === "ready" && job.items_created > 0 ? [this.#preview(job)] : []),
      ...(job.items_failed > 0 || job.remarks.length > 0 ? [this.#problems(job)] : []),
      el("p", { class: "actions" }, ...actions),
    );
  }

  #preview(job) {
    const list = el("ul", { class: "import-preview" });
    return this.#unfolding("What would come in", list, job, "status=pending", (row) => row.title ?? `Entry ${row.position}`);
  }

  #problems(job) {
    const list = el("ul", { class: "import-problems" }, ...job.remarks.map((remark) => el("li", {}, remark.replaceAll("_", " "))));
    const words = (row) => `Entry ${row.position}: ${row.problems.map(said).join(", ")}`;
    return this.#unfolding("What was wrong", list, job, "with_problems=true", words);
  }

  // The rows are asked for when somebody wants to see them.
  #unfolding(title, list, job, which, words) {
    const box = el("details", {}, el("summary", {}, title), list);
    box.ontoggle = async () => {
      if (!box.open) return;
      box.ontoggle = null;
      const rows = await this.#session.get(`/v1/imports/${job.id}/rows?${which}&limit=50`).catch(problem);
      list.append(...(rows?.items ?? []).map((row) => el("li", {}, words(row))));
    };
    return box;
  }

  async #act(job, deed) {
    try {
      await this.#session.post(`/v1/imports/${job.id}/${deed}`);
      await this.load();
    } catch (error) {
      problem(error);
    }
  }

  #choose() {
    const file = field("import-file", "File", { type: "file", required: true });
    const format = el("select", { id: "import-format" }, ...Object.entries(FORMATS).map(([value, words]) => el("option", { value }, words)));
    const dry = el("input", { id: "import-dry", type: "checkbox", checked: true });
    // The same key again, should the answer be lost on its way.
    const key = crypto.randomUUID();
    ask({
      title: "Bring a file in",
      content: [
        file.row,
        el("p", { class: "field" }, el("label", { for: format.id }, "It is"), format),
        el("p", { class: "check" }, dry, el("label", { for: dry.id }, "Only try it out first")),
      ],
      confirm: "Send",
      yes: async () => {
        const [chosen] = file.input.files;
        const query = new URLSearchParams({ name: chosen.name, dry_run: String(dry.checked) });
        if (format.value) query.set("format", format.value);
        await this.#session.post(`/v1/contacts/import?${query}`, chosen, { "Idempotency-Key": key });
        await this.load();
      },
    });
  }
}

function state(job) {
  const total = job.items_total;
  const sums = [
    [job.items_created, job.status === "ready" ? "would be new" : "new"],
    [job.items_known, "known"],
    [job.items_skipped, "skipped"],
    [job.items_failed, "failed"],
    [job.items_undone, "taken back"],
    [job.items_kept, "kept"],
  ];
  const words = sums.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`);
  const moving = MOVING.has(job.status);
  const done = job.status === "undoing" ? job.items_undone + job.items_kept : job.items_processed;
  return el(
    "div",
    { class: "import-state" },
    el("p", {}, [importStatus(job.status), job.error, entries(total), ...words].filter(Boolean).join(" · ")),
    moving ? el("progress", { "aria-label": "Progress", ...(total ? { max: total, value: done } : {}) }) : null,
  );
}

const entries = (total) => (total === null ? "" : total === 1 ? "1 entry" : `${total} entries`);
const said = (found) => [found.code, found.field].filter(Boolean).join(" ").replaceAll("_", " ");
