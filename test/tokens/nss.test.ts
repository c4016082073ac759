import { makeNss } from "../support/nss.js";
import { describeWith } from "../support/requirements.js";
import { tokenSuite } from "./suite.js";

describeWith(["nss"], "NSS softokn", () => tokenSuite(makeNss));
