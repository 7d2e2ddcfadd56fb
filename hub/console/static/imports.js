// Files that are brought into the address book: tried out first, with their progress as it comes.

import { ask, field } from "./ask.js";
import { busy, byId, dayOf, el, show } from "./dom.js";
import { announce, problem } from "./notices.js";
import { soon } from "./soon.js";
import { importError, importProblem, importRemark, importStatus } from "./words.js";

const SHOWN = 5;
const ROWS = 50;
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
    const name = job.file_name ?? FORMATS[job.format] ?? job.format;
    const actions = [];
    const act = (words, deed, tone = "plain") => {
      const button = el("button", { type: "button", class: tone, click: () => busy(button, () => this.#act(job, deed)) }, words);
      actions.push(button);
    };
    if (job.status === "ready") act("Bring it in", "start", "primary");
    if (["ready", "uploaded", "running"].includes(job.status)) act("Cancel", "cancel");
    if (["completed", "failed", "cancelled"].includes(job.status) && job.items_created > 0) {
      actions.push(el("button", { type: "button", class: "plain", click: () => this.#takeBack(job, name) }, "Take it back"));
    }
    return el(
      "li",
      { id: `import-${job.id}`, "data-status": job.status },
      el("h3", {}, name),
      el("p", { class: "hint" }, dayOf(job.created_at)),
      state(job),
      job.status === "ready" && job.items_created > 0 ? this.#preview(job) : null,
      job.items_failed > 0 || job.remarks.length > 0 ? this.#problems(job) : null,
      el("p", { class: "actions" }, ...actions),
    );
  }

  #preview(job) {
    return unfolding("What would come in", [], async () => {
      const { items, has_more: hasMore } = await this.#session.get(`/v1/imports/${job.id}/rows?status=pending&limit=${ROWS}`);
      return [...items.map((row) => row.title ?? `Entry ${row.position}`), ...(hasMore ? ["and more"] : [])];
    });
  }

  #problems(job) {
    return unfolding("What was wrong", job.remarks.map(importRemark), async () => {
      const { items, has_more: hasMore } = await this.#session.get(`/v1/imports/${job.id}/rows?with_problems=true&limit=${ROWS}`);
      return [...items.map((row) => `Entry ${row.position}: ${row.problems.map(importProblem).join("; ")}`), ...(hasMore ? ["and more"] : [])];
    });
  }

  async #act(job, deed) {
    try {
      await this.#session.post(`/v1/imports/${job.id}/${deed}`);
      await this.load();
    } catch (error) {
      problem(error);
    }
  }

  #takeBack(job, name) {
    ask({
      title: `Take ${name} back?`,
      content: [el("p", {}, `What it brought in goes, ${entries(job.items_created)}; whoever was changed or talked to since stays.`)],
      confirm: "Take it back",
      tone: "danger",
      yes: async () => {
        await this.#session.post(`/v1/imports/${job.id}/undo`);
        await this.load();
      },
    });
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
  const words = sums.filter(([number]) => number > 0).map(([number, what]) => `${number.toLocaleString()} ${what}`);
  const moving = MOVING.has(job.status);
  const done = job.status === "undoing" ? job.items_undone + job.items_kept : job.items_processed;
  return el(
    "div",
    { class: "import-state" },
    el("p", {}, [importStatus(job.status), job.error && importError(job.error), entries(total), ...words].filter(Boolean).join(" · ")),
    moving ? el("progress", { "aria-label": "Progress", ...(total ? { max: total, value: done } : {}) }) : null,
  );
}

/** A list that is asked for when somebody opens it, after what is known already. */
function unfolding(title, known, ask) {
  const list = el("ul", { class: "import-rows" }, ...known.map((words) => el("li", {}, words)));
  const box = el("details", {}, el("summary", {}, title), list);
  box.ontoggle = async () => {
    if (!box.open) return;
    box.ontoggle = null;
    const more = await ask().catch(problem);
    list.append(...(more ?? []).map((words) => el("li", {}, words)));
  };
  return box;
}

const entries = (total) => (total === null ? "" : total === 1 ? "1 entry" : `${total.toLocaleString()} entries`);
