import {
  type AudioStream,
  StartStreamTranscriptionCommand,
  TranscribeStreamingClient,
  type TranscribeStreamingClientConfig,
} from "@aws-sdk/client-transcribe-streaming";
import { until } from "../support/process.js";
import { region, sdkSuite, secret } from "../support/sdk.js";
import { startTranscribe, type Transcribe } from "../support/transcribe.js";

const suite = sdkSuite();
const day = 86_400_000;
let server: Transcribe;

beforeEach(async () => {
  const { accessKeyId, secretAccessKey } = secret;
  server = await startTranscribe({ secretAccessKey, region, service: "transcribe" }, accessKeyId);
});
afterEach(() => server?.stop());

/** Sends `audio` and gives the number that each answer has. */
async function transcribe(
  client: TranscribeStreamingClient,
  audio: () => AsyncGenerator<AudioStream>,
): Promise<(string | undefined)[]> {
  const settings = { LanguageCode: "de-DE", MediaEncoding: "pcm", MediaSampleRateHertz: 16_000 } as const;
  const command = new StartStreamTranscriptionCommand({ ...settings, AudioStream: audio() });
  const { TranscriptResultStream } = await client.send(command);
  const numbers: (string | undefined)[] = [];
  for await (const event of TranscriptResultStream ?? []) {
    numbers.push(event.TranscriptEvent?.Transcript?.Results?.[0]?.ResultId);
  }
  return numbers;
}

function open(config: TranscribeStreamingClientConfig): TranscribeStreamingClient {
  return new TranscribeStreamingClient({ region, endpoint: server.endpoint, maxAttempts: 1, ...config });
}

async function* pieces(count: number): AsyncGenerator<AudioStream> {
  for (let i = 0; i < count; i++) yield { AudioEvent: { AudioChunk: Buffer.alloc(1000 * i, i) } };
}

test("Transcribe: the request and every event are signed by the device's key", async () => {
  const client = open(suite.identity);
  try {
    expect(await transcribe(client, () => pieces(6))).toEqual(["1", "2", "3", "4", "5", "6", "7"]);
    expect(server.refused).toEqual([]);
    // the last, of nothing, ends the stream
    const lengths = [0, 1000, 2000, 3000, 4000, 5000, 0];
    expect(server.events.map(({ payload }) => payload.length)).toEqual(lengths);
    expect(server.events[6]?.names).toEqual([]);
    expect(server.events[1]?.names).toEqual(expect.arrayContaining([":event-type", ":message-type"]));
    expect(suite.key.asked.length).toBeLessThanOrEqual(2);
  } finally {
    client.destroy();
  }
});

test("events whose clock goes over midnight in the middle of the stream are signed on their own day", async () => {
  const client = open(suite.identity);
  async function* audio(): AsyncGenerator<AudioStream> {
    for (const [index, offset] of [0, 0, day, day, 2 * day].entries()) {
      client.config.systemClockOffset = offset;
      yield { AudioEvent: { AudioChunk: Buffer.from([index]) } };
      // What is ahead in a stream has the date of when it is signed.
      await until("the event's arrival", () => server.events.length > index);
    }
  }
  try {
    expect(await transcribe(client, audio)).toHaveLength(6);
    expect(server.refused).toEqual([]);
    const days = server.events.map(({ date }) => date.toISOString().slice(0, 10).replaceAll("-", ""));
    expect(new Set(days).size).toBe(3);
    expect(suite.key.asked).toEqual(expect.arrayContaining([...new Set(days)]));
    expect(new Set(suite.key.asked).size).toBe(suite.key.asked.length);
  } finally {
    client.destroy();
  }
});

test("another secret is found out", async () => {
  // The SDK warns that it does not try again.
  const warn = jest.spyOn(console, "warn").mockImplementation(() => undefined);
  const client = open({ credentials: { ...secret, secretAccessKey: "another" } });
  try {
    await expect(transcribe(client, () => pieces(1))).rejects.toMatchObject({
      $metadata: { httpStatusCode: 403 },
    });
    expect(server.refused).toEqual(["Error: the request's signature"]);
  } finally {
    client.destroy();
    warn.mockRestore();
  }
});
