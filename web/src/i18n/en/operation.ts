export default {
  title: "Operation {id}",
};
