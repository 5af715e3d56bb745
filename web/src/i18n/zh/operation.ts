export default {
  title: "操作 {id}",
};
