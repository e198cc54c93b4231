/** Deliveries counted by hour and result. Pure. */

const HOUR = 3600_000;

/**
 * @param {{createdAt: string, state: string}[]} rows
 * @param {number} now Unix milliseconds
 * @param {number} count of hours, the last one being this
 * @returns {{at: number, parts: Record<string, number>}[]} the oldest first
 */
export function byHour(rows, now, count) {
  const last = Math.floor(now / HOUR) * HOUR;
  const hours = Array.from({ length: count }, (_, index) => ({ at: last - (count - 1 - index) * HOUR, parts: /** @type {Record<string, number>} */ ({}) }));
  for (const { createdAt, state } of rows) {
    const hour = hours[count - 1 + Math.floor((new Date(createdAt).getTime() - last) / HOUR)];
    if (hour) hour.parts[state] = (hour.parts[state] ?? 0) + 1;
  }
  return hours;
}
