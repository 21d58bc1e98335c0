/** Every text that a person reads. A second language is a second folder of the same shape as en/. */

import * as account from "./en/account";
import * as antihack from "./en/antihack";
import * as antispam from "./en/antispam";
import * as audit from "./en/audit";
import * as ipmi from "./en/ipmi";
import * as ips from "./en/ips";
import * as keys from "./en/keys";
import * as monitoring from "./en/monitoring";
import * as operations from "./en/operations";
import * as parts from "./en/parts";
import * as principals from "./en/principals";
import * as servers from "./en/servers";
import * as shell from "./en/shell";
import * as signIn from "./en/sign-in";

/** As dates and numbers are written (BCP 47). */
export const language = "en";

export const text = {
  ...parts,
  account,
  antihack,
  antispam,
  audit,
  ipmi,
  ips,
  keys,
  monitoring,
  operations,
  principals,
  servers,
  shell,
  signIn,
};
