import { describeWith } from "../support/requirements.js";
import { softHsmToken } from "../support/softhsm.js";
import { tokenSuite } from "./suite.js";

describeWith(["softhsm"], "SoftHSM", () => tokenSuite(softHsmToken));
