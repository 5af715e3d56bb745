export default {
  navigation: "Administration",
  users: { title: "Users" },
  tokens: { title: "Tokens" },
  definitions: { title: "Counter definitions" },
  recipes: { title: "Recipes" },
  approval: { title: "Approval rules" },
  audit: { title: "Audit" },
};
