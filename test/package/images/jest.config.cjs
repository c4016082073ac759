// For npm run test:images.
/** @type {import("jest").Config} */
module.exports = {
  ...require("../../../jest.config.cjs"),
  rootDir: "../../..",
  testMatch: ["<rootDir>/test/package/images/*.image.ts"],
};
