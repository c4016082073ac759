import { formatPkcs11Uri, parsePkcs11Uri } from "../../../lib/keys/pkcs11/uri.js";
import { Random } from "../../support/random.js";

const pin = "4711-0815";

/** The message of the error that a URI gives. */
function refusal(uri: unknown): string {
  try {
    parsePkcs11Uri(uri as string);
  } catch (error) {
    expect(error).toMatchObject({ name: "AwsHmacError", code: "ERR_PKCS11_URI" });
    return (error as Error).message;
  }
  throw new Error(`taken: ${uri}`);
}

describe("PKCS#11 URIs", () => {
  // RFC 7512, section 3, in its order; where an example is of another type of object, as one of a secret key.
  test.each<[string, object]>([
    ["pkcs11:", {}],
    ["pkcs11:object=my-pubkey;type=secret-key", { label: "my-pubkey" }],
    [
      "pkcs11:object=my-key;type=secret-key?pin-source=file:/etc/token",
      { label: "my-key", pinSource: "file:/etc/token" },
    ],
    [
      "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;object=my-certificate;type=secret-key;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin",
      {
        tokenLabel: "The Software PKCS#11 Softtoken",
        manufacturer: "Snake Oil, Inc.",
        model: "1.0",
        label: "my-certificate",
        id: Buffer.from("69953e5cf4bdec91", "hex"),
        serial: "",
        pinSource: "file:/etc/token_pin",
      },
    ],
    [
      "pkcs11:object=my-sign-key;type=secret-key?module-name=mypkcs11",
      { label: "my-sign-key", moduleName: "mypkcs11" },
    ],
    [
      "pkcs11:object=my-sign-key;type=secret-key?module-path=/mnt/libmypkcs11.so.1",
      { label: "my-sign-key", module: "/mnt/libmypkcs11.so.1" },
    ],
    [
      "pkcs11:token=Software%20PKCS%2311%20softtoken;manufacturer=Snake%20Oil,%20Inc.?pin-value=the-pin",
      { tokenLabel: "Software PKCS#11 softtoken", manufacturer: "Snake Oil, Inc." },
    ],
    ["pkcs11:slot-description=Sun%20Metaslot", { slotDescription: "Sun Metaslot" }],
    [
      "pkcs11:library-manufacturer=Snake%20Oil,%20Inc.;library-description=Soft%20Token%20Library;library-version=1.23",
      {
        libraryManufacturer: "Snake Oil, Inc.",
        libraryDescription: "Soft Token Library",
        libraryVersion: 0x117,
      },
    ],
    [
      "pkcs11:token=My%20token%25%20created%20by%20Joe;library-version=3;id=%01%02%03%Ba%dd%Ca%fe%04%05%06",
      {
        tokenLabel: "My token% created by Joe",
        libraryVersion: 0x300,
        id: Buffer.from("010203baddcafe040506", "hex"),
      },
    ],
    [
      "pkcs11:token=A%20name%20with%20a%20substring%20%25%3B;object=my-certificate;type=secret-key",
      { tokenLabel: "A name with a substring %;", label: "my-certificate" },
    ],
    [
      "pkcs11:object=Name%20with%20a%20small%20A%20with%20acute:%20%C3%A1;type=secret-key",
      { label: "Name with a small A with acute: á" }, // a token in the RFC, whose label would be too long
    ],
  ])("%s is understood as the RFC says", (uri, expected) => {
    const { pinValue, ...parsed } = parsePkcs11Uri(uri);
    expect(parsed).toEqual(expected);
    expect(pinValue?.().toString()).toBe(uri.includes("pin-value") ? "the-pin" : undefined);
  });

  test("a PIN is taken out wherever it stands, and p11-kit reads the rest", () => {
    for (const [query, bytes] of [
      ["pin-value=1&module-name=m", "31"],
      ["module-name=m&pin-value=1%26%00%ff", "312600ff"],
      ["module-name=m&pin-value=a+b|c/=", "612b627c632f3d"],
    ]) {
      const { pinValue, ...rest } = parsePkcs11Uri(`pkcs11:token=t?${query}`);
      expect(rest).toEqual({ tokenLabel: "t", moduleName: "m" });
      expect(pinValue?.().toString("hex")).toBe(bytes);
    }
  });

  test.each<[string, RegExp]>([
    ["pkcs12:token=a", /begin with "pkcs11:"/],
    [" pkcs11:token=a", /begin with "pkcs11:"/],
    ["pkcs11:colour=red", /attribute "colour": there is no such attribute/],
    ["pkcs11:token=a;vendor-aaa=value-a", /attribute "vendor-aaa": .*vendors'/],
    ["pkcs11:token=a?vendor-bbb=value-b", /attribute "vendor-bbb": .*vendors'/],
    ["pkcs11:slotid=3", /attribute "slotid": .*slot-id is meant/],
    ["pkcs11:label=a", /attribute "label": .*object is meant/],
    ["pkcs11:Token=a", /attribute "Token": .*token is meant/],
    ["pkcs11:token=a?pin=1", /attribute "pin": .*pin-value is meant/],
    ["pkcs11:token=a;token=b", /attribute token: .*twice/],
    ["pkcs11:token=a?module-path=/b&module-path=/c", /attribute module-path: .*twice/],
    ["pkcs11:token=a?pin-value=1&pin-source=file:/b", /both pin-value and pin-source/],
    ["pkcs11:token=a?module-path=/b&module-name=c", /both module-path and module-name/],
    ["pkcs11:token=a;module-path=/b", /attribute module-path: .*behind the \?/],
    ["pkcs11:token=a;pin-value=1", /attribute pin-value: .*behind the \?/],
    ["pkcs11:token=a?object=b", /attribute object: .*before the \?/],
    ["pkcs11:token=a&object=b", /attribute token: "&"/],
    ["pkcs11:token=a?module-path=/b;pin-source=file:/c", /attribute module-path: ";"/],
    ["pkcs11:token=a;", /stray ";" or "\?" after token/],
    ["pkcs11:;token=a", /stray ";" or "\?" at the beginning/],
    ["pkcs11:token=a;;object=b", /stray ";" or "\?" after token/],
    ["pkcs11:token=a?", /stray "&" or "\?" after token/],
    ["pkcs11:?", /stray "&" or "\?" at the beginning/],
    ["pkcs11:token=a?module-path=/b&", /stray "&" or "\?" after module-path/],
    ["pkcs11:token=a?module-path=/b?pin-source=c", /attribute module-path: percent-encode/],
    ["pkcs11:token", /without a name or "=" at the beginning/],
    ["pkcs11:token=a;=b", /without a name or "=" after token/],
    ["pkcs11:token=my token", /attribute token: .*white space/],
    ["pkcs11:object=a\n", /attribute object: .*white space/],
    ["pkcs11:token= a", /attribute token: .*white space/],
    ["pkcs11:token=a; object=b", /attribute " object": .*object is meant/],
    ["pkcs11:token=a%", /attribute token: "%"/],
    ["pkcs11:token=%4", /attribute token: "%"/],
    ["pkcs11:token=%zz", /attribute token: "%"/],
    ["pkcs11:token=Clé", /attribute token: percent-encode/],
    ["pkcs11:token=a#b", /attribute token: percent-encode/],
    ["pkcs11:object=a/b", /attribute object: percent-encode/],
    ["pkcs11:object=%ff", /attribute object: .*UTF-8/],
    ["pkcs11:object=a%00", /attribute object: .*NUL/],
    ["pkcs11:type=cert;object=a", /attribute type: it must be secret-key/],
    ["pkcs11:type=secret", /attribute type: it must be secret-key/],
    ["pkcs11:slot-id=", /attribute slot-id: .*decimal/],
    ["pkcs11:slot-id=0x1", /attribute slot-id: .*decimal/],
    ["pkcs11:slot-id=-1", /attribute slot-id: .*decimal/],
    ["pkcs11:slot-id=1e3", /attribute slot-id: .*decimal/],
    ["pkcs11:slot-id=%31", /attribute slot-id: .*decimal/],
    ["pkcs11:slot-id=9007199254740992", /attribute slot-id: it is above 9007199254740991.*serial or token/],
    ["pkcs11:slot-id=18446744073709551615", /attribute slot-id: it is above 9007199254740991/],
    ["pkcs11:library-version=", /attribute library-version: .*like/],
    ["pkcs11:library-version=1.2.3", /attribute library-version: .*like/],
    ["pkcs11:library-version=1.", /attribute library-version: .*like/],
    ["pkcs11:library-version=255", /attribute library-version: .*0\.\.254/],
    ["pkcs11:library-version=1.999", /attribute library-version: .*0\.\.254/],
    ["pkcs11:id=0123", /attribute id: .*bytes write id=%01%23, .*characters id=%30%31%32%33$/],
    ["pkcs11:id=0x01ab", /attribute id: .*bytes write id=%01%ab, .*characters id=%30%78%30%31%61%62$/],
    ["pkcs11:id=012", /attribute id: .*%01%23.* for these characters id=%30%31%32$/],
    ["pkcs11:token=a?module-path=", /attribute module-path: .*empty/],
    ["pkcs11:token=a?pin-value=", /attribute pin-value: .*empty/],
    [`pkcs11:token=${"x".repeat(33)}`, /attribute token: .*33 bytes.*at most 32/],
    [`pkcs11:token=${"%C3%A1".repeat(16)}x`, /attribute token: .*33 bytes.*at most 32/],
    // An example of the RFC itself, section 3: no token can have this label.
    ["pkcs11:token=Name%20with%20a%20small%20A%20with%20acute:%20%C3%A1", /attribute token: .*34 bytes/],
    [`pkcs11:serial=${"1".repeat(17)}`, /attribute serial: .*at most 16/],
    [`pkcs11:model=${"1".repeat(17)}`, /attribute model: .*at most 16/],
    [`pkcs11:manufacturer=${"1".repeat(33)}`, /attribute manufacturer: .*at most 32/],
    [`pkcs11:slot-description=${"1".repeat(65)}`, /attribute slot-description: .*at most 64/],
  ])("%j is refused by name", (uri, expected) => {
    expect(refusal(uri)).toMatch(expected);
  });

  // As in the README of the credential process made with aws_hmac for Go.
  test("the form of aws_hmac for Go is explained", () => {
    const rest = "object=HMACKey;id=0100?pin-value=mynewpin&module-path=/usr/lib/softhsm/libsofthsm2.so";
    const token = "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project";
    const slot = refusal(`${token};slot=0;serial=e5cd05925f3a6d79;token=token1;${rest}`);
    expect(slot).toMatch(/attribute "slot": .*aws_hmac for Go.*Leave it out.*id=%01%00/);
    const id = refusal(`${token};serial=e5cd05925f3a6d79;token=token1;${rest}`);
    expect(id).toMatch(/attribute id: .*for bytes write id=%01%00/);
    expect(slot + id).not.toContain("mynewpin");
    const { id: bytes, label } = parsePkcs11Uri(`${token};${rest.replace("0100", "%01%00")}`);
    expect([bytes, label]).toEqual([Buffer.of(1, 0), "HMACKey"]);
  });

  test("what is no string is refused", () => {
    expect(refusal(Buffer.from("pkcs11:token=a"))).toMatch(/begin with/);
  });

  test.each([
    `pkcs11:token=a?pin-value=${pin}&${pin}`,
    `pkcs11:token=a?pin-value=${pin}&${pin}=1`,
    `pkcs11:token=a?pin-value=${pin};${pin}`,
    `pkcs11:token=a?pin-value=${pin} `,
    `pkcs11:token=a?pin-value=${pin}%`,
    `pkcs11:token=a?pin-value=${pin}&pin-value=${pin}`,
    `pkcs11:token=a?pin-value=${pin}&pin-source=${pin}`,
    `pkcs11:token=a;pin-value=${pin}`,
    `pkcs11:token=a?pin=${pin}`,
    `pkcs11:colour=red?pin-value=${pin}`,
    `pkcs11:library-version=256?pin-value=${pin}`,
    `pkcs11:token=a?module-path=/b?pin-value=${pin}`,
  ])("an error never holds a PIN (case %#)", (uri) => {
    expect(refusal(uri)).not.toContain(pin);
  });

  test("what is written is read again, whatever its bytes", () => {
    const random = new Random(7512);
    const anyText = (longest: number): string => random.text("aZ09 ;&=?%/#+:@á€\"'|~", 0, longest).trimEnd();
    for (let i = 0; i < 2000; i++) {
      const place = {
        tokenLabel: anyText(8),
        serial: anyText(4),
        manufacturer: anyText(8),
        model: anyText(4),
        libraryManufacturer: anyText(8),
        libraryDescription: anyText(8),
        slotManufacturer: anyText(8),
        slotDescription: anyText(16),
        libraryVersion: random.below(255) * 256 + random.below(255),
        slot: random.below(2 ** 32),
        label: anyText(20),
        id: Buffer.from(Array.from({ length: random.below(20) }, () => random.below(256))),
        module: `/x${anyText(20)}`,
      };
      for (const name of Object.keys(place) as (keyof typeof place)[]) {
        if (random.below(3) === 0) delete (place as Partial<typeof place>)[name];
      }
      expect(parsePkcs11Uri(formatPkcs11Uri(place))).toEqual(place);
    }
  });
});
