const { use } = require("./key.cjs");

use(require("aws-hmac"));
