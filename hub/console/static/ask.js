// One dialog for all questions: what is asked, what is filled in, what happens on yes.

import { busy, byId, el } from "./dom.js";
import { clearProblem, problem } from "./notices.js";

/** Ask; `yes` runs on confirmation and closes the dialog unless it throws or returns content to show. */
export function ask({ title, content = [], confirm, tone = "primary", yes }) {
  const dialog = byId("dialog");
  const asked = document.activeElement;
  const failure = el("p", { class: "failure", role: "alert" });
  const close = el("button", { type: "button", class: "plain", click: () => dialog.close() }, "Cancel");
  const submit = el("button", { type: "submit", class: tone }, confirm);
  const act = async () => {
    failure.textContent = "";
    try {
      const more = await yes();
      clearProblem();
      if (more) {
        form.replaceChildren(...more);
        close.textContent = "Close";
        form.append(el("div", { class: "dialog-actions" }, close));
        close.focus();
      } else dialog.close();
    } catch (error) {
      if (error.title) failure.textContent = [error.title, ...(error.fields?.length ? error.fields : [error.detail])].join(". ");
      else problem(error);
    }
  };
  const form = el(
    "form",
    {
      submit: (event) => {
        event.preventDefault();
        busy(submit, act);
      },
    },
    ...content,
    failure,
    el("div", { class: "dialog-actions" }, close, submit),
  );
  dialog.replaceChildren(el("h2", { id: "dialog-title" }, title), form);
  dialog.onclose = () => {
    // What was shown once does not stay in the page.
    dialog.replaceChildren();
    if (asked?.isConnected) asked.focus();
  };
  dialog.showModal();
  (form.querySelector("input, select, textarea") ?? close).focus();
}

/** A labelled field; `give` sets more attributes. */
export function field(id, label, give = {}) {
  const input = el("input", { id, autocomplete: "off", ...give });
  return { input, row: el("p", { class: "field" }, el("label", { for: id }, label), input) };
}
