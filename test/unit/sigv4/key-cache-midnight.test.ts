import { plainSignature } from "../../support/derived-keys.js";
import { openCache, secret, sign, signNow } from "../../support/key-cache.js";

test("while the key is in use the next day's key is there before midnight", async () => {
  const { cache, key, clock } = openCache();
  await sign(cache);
  await clock.moveTo("2026-11-23T23:50:00Z");
  await sign(cache);
  expect(key.asked).toEqual(["20261123"]);
  await clock.moveTo("2026-11-23T23:59:00Z");
  expect(key.asked).toEqual(["20261123", "20261124"]);
  await clock.moveTo("2026-11-24T00:00:01Z");
  await sign(cache, { date: "20261124" });
  expect(key.asked).toEqual(["20261123", "20261124"]);
  await clock.moveTo("2026-11-24T23:54:00Z");
  await sign(cache, { date: "20261124" });
  await clock.moveTo("2026-11-24T23:56:00Z");
  expect(key.asked).toEqual(["20261123", "20261124", "20261125"]);
  cache.close();
});

test("also while it only signs at once", async () => {
  const { cache, key, clock } = openCache();
  await sign(cache);
  await clock.moveTo("2026-11-23T23:50:00Z");
  signNow(cache);
  await clock.moveTo("2026-11-23T23:59:00Z");
  expect(key.asked).toEqual(["20261123", "20261124"]);
});

test("it is fetched once, however much is signed in the last minutes", async () => {
  const { cache, key, clock } = openCache();
  await clock.moveTo("2026-11-23T23:57:00Z");
  for (let i = 0; i < 5; i++) {
    await sign(cache);
    await clock.moveTo(`2026-11-23T23:57:0${i + 1}Z`);
  }
  expect(key.asked).toEqual(["20261123", "20261124"]);
});

test("an idle key is not asked, nor one whose signers are closed", async () => {
  const { cache, key, clock } = openCache();
  await sign(cache);
  await clock.moveTo("2026-11-24T12:00:00Z");
  expect(key.asked).toEqual(["20261123"]);
  await sign(cache, { date: "20261124" });
  await clock.moveTo("2026-11-24T23:54:00Z");
  await sign(cache, { date: "20261124" });
  cache.close();
  expect(clock.pending).toBe(0);
  await clock.moveTo("2026-11-25T12:00:00Z");
  expect(key.asked).toEqual(["20261123", "20261124"]);
});

test("a failed prefetch harms nobody; the first signature asks again", async () => {
  const { cache, key, clock } = openCache();
  await clock.moveTo("2026-11-23T23:50:00Z");
  await sign(cache);
  key.failures.push(new Error("device asleep"));
  await clock.moveTo("2026-11-24T00:00:01Z");
  expect(key.failures).toEqual([]);
  expect(await sign(cache, { date: "20261124" })).toBe(
    plainSignature(secret, ["20261124", "eu-central-1", "s3"], "string to sign"),
  );
  expect(key.asked).toEqual(["20261123", "20261124", "20261124"]);
});

test("the signing date counts, not the clock", async () => {
  const { cache, key, clock } = openCache();
  await sign(cache, { date: "20990101" });
  await sign(cache, { date: "20130524" });
  await clock.moveTo("2026-11-23T12:01:00Z");
  expect(key.asked).toEqual(["20990101", "20130524"]);
});
