#include "graph/backward.h"
#include <torch/torch.h>
#include "libtorch/hooks.h"

#include <optional>
#include <string_view>
#include "libtorch/engine.h"
#include "libtorch/errors.h"
#include "libtorch/ways_out.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

[[noreturn]] void explain(const c10::Error& error) {
  const std::string what = error.what_without_backtrace();
  const auto kind = kind_of(error);
  TORCH_CHECK(
      kind != GraphError::Freed,
      "natgrad: the graph of this loss has been freed. Drop the line `loss.backward();` before the "
      "step (natgrad needs no .grad), or keep the graph with `loss.backward({}, "
      "/*retain_graph=*/true);`, and make a new loss for every step.");
  TORCH_CHECK(kind != GraphError::ChangedInPlace,
              "natgrad: a tensor of this loss's graph was changed in place since; most likely a "
              "parameter, by an earlier step on the same loss or by hand. Compute a new loss for "
              "every step. LibTorch says: ",
              what);
  TORCH_CHECK_NOT_IMPLEMENTED(
      kind != GraphError::NotDifferentiable,
      "natgrad: an op of the network or of the loss cannot be differentiated twice, which "
      "curvature products need: ",
      what, "\n", way_out_of_error(what));
  throw;  // NOLINT: rethrows the error being explained
}

}  // namespace

void with_graph_errors(const std::function<void()>& read) {
  try {
    read();
  } catch (const c10::Error& error) {
    explain(error);
  }
}

std::vector<Tensor> backward(const torch::autograd::edge_list& roots,
                             const std::vector<Tensor>& cotangents,
                             const torch::autograd::edge_list& inputs, Pass pass, Marks marks) {
  torch::autograd::edge_list valid;
  for (const auto& input : inputs) {
    if (input.is_valid()) valid.push_back(input);
  }
  std::vector<Tensor> gradients(inputs.size());
  if (roots.empty() || valid.empty()) return gradients;
  std::optional<OwnRun> run;
  if (marks == Marks::Hold || is_retain_grad_kept_out()) run.emplace(roots, cotangents, marks);
  with_graph_errors([&] {
    auto arrived =
        run_engine(run ? run->roots() : roots, cotangents, valid, pass == Pass::Differentiable);
    for (size_t i = 0, k = 0; i < inputs.size(); ++i) {
      if (inputs[i].is_valid()) gradients[i] = std::move(arrived[k++]);
    }
  });
  return gradients;
}

}  // namespace natgrad::detail
