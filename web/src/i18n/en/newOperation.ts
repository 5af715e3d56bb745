export default {
  title: "New operation",
};
