/** Every text that a person reads. A second language is a second folder of the same shape as en/. */

import * as account from "./en/account";
import * as audit from "./en/audit";
import * as keys from "./en/keys";
import * as parts from "./en/parts";
import * as servers from "./en/servers";
import * as shell from "./en/shell";
import * as signIn from "./en/sign-in";

/** As dates and numbers are written (BCP 47). */
export const language = "en";

export const text = { ...parts, account, audit, keys, servers, shell, signIn };
