// Opens the key that KEY names (JSON: reference, options), signs with it and prints what came of it, as one line of JSON.
process.report.excludeNetwork = true;

/** The addons and the libraries of TPMs and PKCS#11 that are loaded: /proc/self/maps is empty under an emulator. */
const loaded = () =>
  process.report.getReport().sharedObjects.filter((file) => /\.node$|\/lib(tss2|p11-kit)[^/]*$/.test(file));

exports.use = async ({ HmacSigner, openKey }) => {
  const before = loaded();
  const { reference, options } = JSON.parse(process.env.KEY);
  const key = await openKey(reference, options);
  const mac = Buffer.from(await key.mac(Buffer.from("20261123"))).toString("hex");
  const signer = new HmacSigner({
    ...{ key, accessKeyId: "AKIAIOSFODNN7EXAMPLE", region: "eu-central-1" },
    ...{ service: "sqs", uriEscapePath: true },
  });
  const signingDate = new Date("2026-11-23T12:00:00Z");
  const request = { method: "GET", hostname: "sqs.eu-central-1.amazonaws.com", path: "/", headers: {} };
  const { headers } = await signer.sign(request, { signingDate });
  const url = await signer.presignUrl("https://sqs.eu-central-1.amazonaws.com/", { signingDate });
  await key.close();
  const { authorization } = headers;
  console.log(JSON.stringify({ mac, authorization, url, before, loaded: loaded() }));
};
