import { HmacSigner, openKey } from "aws-hmac";
import { use } from "./key.cjs";

use({ HmacSigner, openKey });
