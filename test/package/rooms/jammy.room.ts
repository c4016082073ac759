import { testSuite } from "./suite.js";

testSuite("jammy");
