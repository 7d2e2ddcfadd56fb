// Items in the order of their ids (UUIDv7: ordered by time), each kept once however often it comes.

export class Timeline {
  #items = [];
  #byId = new Map();

  get size() {
    return this.#items.length;
  }

  get(id) {
    return this.#byId.get(id);
  }

  /** Add an item; returns the id of the next newer one (null: it is the newest), or undefined when known. */
  add(item) {
    if (this.#byId.has(item.id)) return undefined;
    this.#byId.set(item.id, item);
    // Nearly everything is the newest, so the place is searched from that end.
    let index = this.#items.length;
    while (index > 0 && this.#items[index - 1].id > item.id) index -= 1;
    this.#items.splice(index, 0, item);
    return this.#items[index + 1]?.id ?? null;
  }

  /** Forget the oldest items beyond `limit`; returns their ids. */
  trim(limit) {
    const dropped = this.#items.splice(0, Math.max(0, this.#items.length - limit));
    for (const item of dropped) this.#byId.delete(item.id);
    return dropped.map((item) => item.id);
  }

  clear() {
    this.#items = [];
    this.#byId.clear();
  }
}
