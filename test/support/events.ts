import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { OperationEvent } from "../../lib/index.js";

/** Everything a channel of `node:diagnostics_channel` says while `work` runs. */
export async function eventsDuring<Event extends OperationEvent>(
  channel: string,
  work: () => unknown,
  listen: (event: Event) => void = () => undefined,
): Promise<Event[]> {
  const events: Event[] = [];
  const hear = (message: unknown): void => {
    events.push(message as Event);
    listen(message as Event);
  };
  subscribe(channel, hear);
  try {
    await work();
  } finally {
    unsubscribe(channel, hear);
  }
  return events;
}
