import { testSuite } from "./suite.js";

testSuite("bullseye");
