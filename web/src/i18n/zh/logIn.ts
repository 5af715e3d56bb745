export default {
  title: "登录",
  intro: "请使用管理员为您开通的用户名和密码。",
  name: "用户名",
  password: "密码",
  submit: "登录",
  missing: "请填写用户名和密码。",
  wrong: "用户名或密码错误。",
  wait: "密码错误次数过多。请在{time}后重试，或请管理员解锁。",
  enter: "通过链接登录",
  linkUsed: "此链接已使用过或已过期。",
  unknownYet: "服务端尚未连上台账，无法验证身份，请稍后再试。",
};
