#include "libtorch/hooks.h"
#include <torch/csrc/autograd/cpp_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>

#include <algorithm>
#include <atomic>
#include <memory>

#include "libtorch/own_run.h"

namespace natgrad::detail {
namespace {

using torch::autograd::Node;
using torch::autograd::variable_list;

/// Whether a hook does something: one that was removed leaves an empty function behind.
bool is_alive(const torch::autograd::FunctionPreHook& hook) {
  using torch::autograd::CppFunctionTensorPreHook;  // LibTorch exports no type information for it
  if (c10::demangle(typeid(hook).name()) != "torch::autograd::CppFunctionTensorPreHook") {
    return true;
  }
  const auto& functions = *static_cast<const CppFunctionTensorPreHook&>(hook).hooks_;
  return std::any_of(functions.begin(), functions.end(),
                     [](const auto& f) { return f != nullptr; });
}

bool is_leaf(const Node& node) { return node.next_edges().empty(); }

bool has_hooks(Node& node) {
  const auto& before = node.tensor_pre_hooks();
  return (!is_leaf(node) && !node.post_hooks().empty()) ||  // a leaf's run at accumulation only
         std::any_of(before.begin(), before.end(),
                     [](const auto& hook) { return is_alive(*hook); });
}

}  // namespace

void check_hooks(const std::vector<Node*>& nodes) {
  for (Node* node : nodes) {
    TORCH_CHECK(
        !has_hooks(*node), "natgrad: ", is_leaf(*node) ? "a parameter" : node->name(),
        " carries a gradient hook, which would run inside every curvature product and change it. "
        "Remove the hook; to clamp or scale gradients, do it in the loss.");
  }
}

namespace {

std::atomic<bool> retain_grad_is_kept_out = false;

/// The hook of a `retain_grad()`, in all passes but natgrad's own.
class RetainGradOfUser final : public torch::autograd::FunctionPreHook {
 public:
  explicit RetainGradOfUser(std::unique_ptr<FunctionPreHook> hook) : hook_(std::move(hook)) {}
  variable_list operator()(const variable_list& gradients) override {
    return is_in_own_run() ? gradients : (*hook_)(gradients);
  }

 private:
  std::unique_ptr<FunctionPreHook> hook_;
};

bool is_kept_out(const torch::autograd::FunctionPreHook& hook) {
  return dynamic_cast<const RetainGradOfUser*>(&hook) != nullptr;
}

}  // namespace

void keep_retain_grad_out(const std::vector<Node*>& nodes) {
  for (Node* node : nodes) {
    for (auto& [output, hook] : node->retains_grad_hooks()) {
      if (is_kept_out(*hook)) continue;
      retain_grad_is_kept_out = true;
      hook = std::make_unique<RetainGradOfUser>(std::move(hook));
    }
  }
}

bool is_retain_grad_kept_out() { return retain_grad_is_kept_out; }

}  // namespace natgrad::detail
