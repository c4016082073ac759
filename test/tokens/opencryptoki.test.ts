import { describeInNamespace } from "../support/namespace.js";
import { makeOpenCryptoki } from "../support/opencryptoki.js";
import { tokenSuite } from "./suite.js";

describeInNamespace(["opencryptoki", "opensc"], "openCryptoki", __filename, () =>
  tokenSuite(makeOpenCryptoki),
);
