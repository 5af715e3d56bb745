import element from "element-plus/es/locale/lang/zh-cn";

import admin from "./admin";
import clusters from "./clusters";
import errors from "./errors";
import history from "./history";
import logIn from "./logIn";
import newOperation from "./newOperation";
import operation from "./operation";
import overview from "./overview";
import parts from "./parts";
import reasons from "./reasons";
import said from "./said";
import shell from "./shell";
import words from "./words";

export default {
  element,
  messages: { admin, clusters, errors, history, logIn, newOperation, operation, overview, parts, reasons, said, shell, words },
};
