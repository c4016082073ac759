import { describeWith } from "../support/requirements.js";
import { softHsmToken } from "../support/softhsm.js";
import { judging, tokenSuite } from "./suite.js";

describeWith(["softhsm", "opensc"], "SoftHSM", () => tokenSuite(softHsmToken, judging));
