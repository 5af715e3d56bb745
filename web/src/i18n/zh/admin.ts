export default {
  navigation: "管理",
  users: { title: "用户" },
  tokens: { title: "访问令牌" },
  definitions: { title: "计数器定义" },
  recipes: { title: "配方" },
  approval: { title: "审批规则" },
  audit: { title: "审计记录" },
};
