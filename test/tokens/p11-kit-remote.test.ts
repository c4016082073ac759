import { serveToken } from "../support/p11-kit-server.js";
import { describeWith } from "../support/requirements.js";
import { softHsmToken } from "../support/softhsm.js";
import { judging, tokenSuite } from "./suite.js";

describeWith(["softhsm", "p11-kit", "opensc"], "a token behind p11-kit server", () =>
  tokenSuite(async () => serveToken(await softHsmToken()), judging),
);
