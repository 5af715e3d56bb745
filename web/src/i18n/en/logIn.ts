export default {
  title: "Log in",
  intro: "With the name and password that your administrator gave you.",
  name: "Name",
  password: "Password",
  submit: "Log in",
  missing: "Please fill in name and password.",
  wrong: "Name or password is wrong.",
  wait: "Too many wrong passwords. Try again in {time}, or ask an administrator to unlock you.",
  enter: "Logging in by link",
  linkUsed: "This link has been used already, or its time is over.",
  unknownYet: "The server has not reached its ledger yet and cannot tell who you are. Try again in a moment.",
};
