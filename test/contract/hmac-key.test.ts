import { backends } from "../support/backends.js";
import { describeWith } from "../support/requirements.js";
import { contract } from "./contract.js";

for (const backend of backends) {
  describeWith(backend.needs, `HmacKey of the ${backend.name} backend`, () => contract(backend));
}
