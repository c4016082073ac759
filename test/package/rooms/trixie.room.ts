import { testSuite } from "./suite.js";

testSuite("trixie");
