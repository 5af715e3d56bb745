export default {
  title: "Operations",
};
