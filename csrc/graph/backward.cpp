#include "graph/backward.h"
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/function.h>
#include <torch/torch.h>
#include "graph/hooks.h"

#include <optional>
#include <string_view>

namespace natgrad::detail {

using torch::Tensor;

namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

[[noreturn]] void explain(const c10::Error& error) {
  const std::string what = error.what_without_backtrace();
  TORCH_CHECK(
      !contains(what, "backward through the graph a second time"),
      "natgrad: the graph of this loss has been freed. Drop the line `loss.backward();` before the "
      "step (natgrad needs no .grad), or keep the graph with `loss.backward({}, "
      "/*retain_graph=*/true);`, and make a new loss for every step.");
  TORCH_CHECK(!contains(what, "modified by an inplace operation"),
              "natgrad: a tensor of this loss's graph was changed in place since; most likely a "
              "parameter, by an earlier step on the same loss or by hand. Compute a new loss for "
              "every step. LibTorch says: ",
              what);
  TORCH_CHECK_NOT_IMPLEMENTED(
      !contains(what, "is not implemented") && !contains(what, "not differentiable"),
      "natgrad: an op of the network or of the loss cannot be differentiated twice, which "
      "curvature products need: ",
      what,
      "\nWrite an op of the network with others (for attention: the math backend of "
      "scaled_dot_product_attention; for cdist: (a - b).norm()). For one of the loss, name the "
      "outputs' distribution, natgrad::outputs(natgrad::Categorical(z)): its Fisher matrix needs "
      "no second derivative.");
  throw;  // NOLINT: rethrows the error being explained
}

}  // namespace

torch::IntArrayRef shape_at(const torch::autograd::Edge& edge) {
  return C10_AS_INTARRAYREF_SLOW(
      edge.function->input_metadata(edge.input_nr).shape_as_dim_vector());
}

torch::TensorOptions options_at(const torch::autograd::Edge& edge) {
  return edge.function->input_metadata(edge.input_nr).options();
}

Tensor zeros_at(const torch::autograd::Edge& edge) {
  return torch::zeros(shape_at(edge), options_at(edge));
}

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
    auto arrived = torch::autograd::Engine::get_default_engine().execute(
        run ? run->roots() : roots, cotangents, /*keep_graph=*/true,
        /*create_graph=*/pass == Pass::Differentiable,
        /*accumulate_grad=*/false, valid);
    for (size_t i = 0, k = 0; i < inputs.size(); ++i) {
      if (inputs[i].is_valid()) gradients[i] = std::move(arrived[k++]);
    }
  });
  return gradients;
}

}  // namespace natgrad::detail
