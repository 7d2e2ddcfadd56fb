// Where marks stand on a time axis with a lane per ring. No DOM: tested in Node.

const STEPS_SECONDS = [60, 300, 900, 1800, 3600, 10_800, 21_600];

/** The times of the axis' labels, on round clock times, at most one per `room` pixels. */
export function ticks(from, to, width, room = 80) {
  const most = Math.max(1, Math.floor(width / room));
  const span = (to - from) / 1000;
  const step = (STEPS_SECONDS.find((seconds) => span / seconds <= most) ?? STEPS_SECONDS.at(-1)) * 1000;
  // Round in the clock of the wall, not of UTC: zones are off by half hours too.
  const shift = new Date(from).getTimezoneOffset() * 60_000;
  const found = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) found.push(at);
  return found;
}

/** Lay items ({ id, lane, at }) out: inside the span, in time order, with x and the lane's number. */
export function layOut(items, lanes, { from, to, left, right }) {
  const number = new Map(lanes.map((lane, index) => [lane, index]));
  const scale = (right - left) / Math.max(1, to - from);
  return items
    .filter((item) => item.at >= from && item.at <= to && number.has(item.lane))
    .sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))
    .map((item) => ({ ...item, x: left + (item.at - from) * scale, row: number.get(item.lane) }));
}

/** The index of the mark that a key leads to from `index`; the same one where there is none. */
export function step(marks, index, key) {
  const here = marks[index];
  const last = marks.length - 1;
  switch (key) {
    case "ArrowLeft":
      return Math.max(0, index - 1);
    case "ArrowRight":
      return Math.min(last, index + 1);
    case "Home":
      return 0;
    case "End":
      return last;
    case "ArrowUp":
    case "ArrowDown": {
      const down = key === "ArrowDown";
      const others = marks.filter((mark) => (down ? mark.row > here.row : mark.row < here.row));
      if (others.length === 0) return index;
      const rows = others.map((mark) => mark.row);
      const row = down ? Math.min(...rows) : Math.max(...rows);
      const nearest = others
        .filter((mark) => mark.row === row)
        .reduce((best, mark) => (Math.abs(mark.at - here.at) < Math.abs(best.at - here.at) ? mark : best));
      return marks.indexOf(nearest);
    }
    default:
      return index;
  }
}
