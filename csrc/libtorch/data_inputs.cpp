#include "libtorch/data_inputs.h"

#include <torch/csrc/autograd/generated/Functions.h>

#include "libtorch/edges.h"
#include "libtorch/saved.h"

namespace natgrad::detail {

using torch::Tensor;
using torch::autograd::Node;
using torch::autograd::SavedVariable;
namespace generated = torch::autograd::generated;

namespace {

class DataInputs {
 public:
  explicit DataInputs(Node& node) : node_(node) {}

  /// What was saved of input i, if that has no gradient.
  void add(size_t i, const SavedVariable& variable) {
    if (!node_.next_edge(i).is_valid()) add(variable);
  }
  void add(const SavedVariable& variable) {
    auto tensor = saved(variable, node_);
    if (tensor.defined() && tensor.numel() > 1) found_.push_back(std::move(tensor));
  }
  /// As the first: numbers and rows that are broadcast hold no examples.
  void add_if_shaped_like_the_result(size_t i, const SavedVariable& variable) {
    add(i, variable);
    if (!found_.empty() && found_.back().sizes() != shape_at(result_of(node_))) found_.pop_back();
  }
  std::vector<Tensor> take() { return std::move(found_); }

 private:
  Node& node_;
  std::vector<Tensor> found_;
};

}  // namespace

std::vector<Tensor> data_inputs(Node& node) {
  DataInputs data(node);
  if (const auto* mm = dynamic_cast<generated::MmBackward0*>(&node)) {
    data.add(0, mm->self_);
    data.add(1, mm->mat2_);
  } else if (const auto* addmm = dynamic_cast<generated::AddmmBackward0*>(&node)) {
    data.add(1, addmm->mat1_);
    data.add(2, addmm->mat2_);
  } else if (const auto* mv = dynamic_cast<generated::MvBackward0*>(&node)) {
    data.add(0, mv->self_);
  } else if (const auto* bmm = dynamic_cast<generated::BmmBackward0*>(&node)) {
    data.add(0, bmm->self_);
    data.add(1, bmm->mat2_);
  } else if (const auto* convolution = dynamic_cast<generated::ConvolutionBackward0*>(&node)) {
    data.add(0, convolution->input_);
  } else if (const auto* embedding = dynamic_cast<generated::EmbeddingBackward0*>(&node)) {
    data.add(embedding->indices_);
  } else if (const auto* mul = dynamic_cast<generated::MulBackward0*>(&node)) {
    data.add_if_shaped_like_the_result(0, mul->self_);
    data.add_if_shaped_like_the_result(1, mul->other_);
  }
  return data.take();
}

}  // namespace natgrad::detail
