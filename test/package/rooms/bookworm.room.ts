import { testSuite } from "./suite.js";

testSuite("bookworm");
