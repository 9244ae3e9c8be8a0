#include <fmt/format.h>
#include <fmt/ranges.h>
#include <natgrad/linalg/parameters.h>
#include <torch/torch.h>

#include <unordered_map>
#include <unordered_set>

namespace natgrad {

using torch::Tensor;

bool is_expanded(const Tensor& t) {
  for (int64_t d = 0; d < t.dim(); ++d) {
    if (t.size(d) > 1 && t.stride(d) == 0) return true;
  }
  return false;
}

namespace {

void check_one(const Tensor& t, size_t index) {
  const auto where = fmt::format("natgrad: parameter {}", index);
  TORCH_CHECK(t.defined(), where, " is undefined.");
  TORCH_CHECK(
      !t.is_inference(), where,
      " is an inference tensor, which autograd cannot differentiate; create the module outside "
      "c10::InferenceMode.");
  TORCH_CHECK(t.layout() == torch::kStrided, where, " is ", t.layout(),
              "; natgrad needs dense (strided) parameters.");
  TORCH_CHECK(
      !t.is_complex(), where, " is complex (", t.scalar_type(),
      "); natgrad needs real ones, float32 or float64. Keep its real and imaginary parts as "
      "two parameters, and have the network put them together: torch::complex(re, im).");
  TORCH_CHECK(
      t.scalar_type() == torch::kFloat || t.scalar_type() == torch::kDouble, where, " is ",
      t.scalar_type(),
      "; natgrad needs float32 or float64: keep the parameters so and use autocast for the forward "
      "pass.");
  TORCH_CHECK(
      t.is_leaf(), where,
      " is not a leaf: it was computed from other tensors. Give the optimizer the tensors it was "
      "computed from.");
  TORCH_CHECK(
      !is_expanded(t), where,
      " is expanded (stride 0), so that several of its elements are one number; pass a clone().");
}

void check_alike(const Tensor& t, const Tensor& first, size_t index) {
  TORCH_CHECK(t.scalar_type() == first.scalar_type(), "natgrad: parameter ", index, " is ",
              t.scalar_type(), " but parameter 0 is ", first.scalar_type(),
              "; one system needs one dtype.");
  TORCH_CHECK(t.device() == first.device(), "natgrad: parameter ", index, " is on ", t.device(),
              " but parameter 0 is on ", first.device(), "; one system needs one device.");
}

/// The places in its storage that a tensor's elements take.
Tensor places_of(const Tensor& t) {
  const auto length = static_cast<int64_t>(t.storage().nbytes() / t.element_size());
  return torch::arange(length).as_strided(t.sizes(), t.strides(), t.storage_offset()).reshape(-1);
}

bool share_places(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> places;
  for (const auto& t : tensors) places.push_back(places_of(t));
  const auto all = torch::cat(places);
  return std::get<0>(at::_unique(all)).numel() < all.numel();
}

/// Looks element by element, but only where tensors share a storage or are not plainly dense.
void check_disjoint(const std::vector<Tensor>& parameters) {
  std::unordered_map<const void*, std::vector<size_t>> by_storage;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].numel() == 0) continue;
    TORCH_CHECK(
        parameters[i].is_non_overlapping_and_dense() || !share_places({parameters[i]}),
        "natgrad: parameter ", i,
        " overlaps with itself: several of its elements are one number in memory; pass a clone().");
    by_storage[parameters[i].storage().data()].push_back(i);
  }
  for (const auto& [storage, indices] : by_storage) {
    if (indices.size() == 1) continue;
    std::vector<Tensor> together;
    for (const size_t i : indices) together.push_back(parameters[i]);
    TORCH_CHECK(
        !share_places(together), "natgrad: parameters ",
        fmt::format("{}", fmt::join(indices, ", ")),
        " overlap in memory: a step would move the shared elements twice. Pass the tensor that "
        "holds them once.");
  }
}

}  // namespace

void check_parameters(const std::vector<Tensor>& parameters) {
  TORCH_CHECK(!parameters.empty(),
              "natgrad: got no parameters; pass model->parameters() of a model that has some.");
  std::unordered_set<const void*> seen;
  for (size_t i = 0; i < parameters.size(); ++i) {
    check_one(parameters[i], i);
    check_alike(parameters[i], parameters.front(), i);
    TORCH_CHECK(seen.insert(parameters[i].unsafeGetTensorImpl()).second, "natgrad: parameter ", i,
                " is listed twice; list a shared parameter once.");
  }
  check_disjoint(parameters);
}

ParameterLayout::ParameterLayout(std::vector<Tensor> parameters) : tensors_(std::move(parameters)) {
  check_parameters(tensors_);
  for (const auto& t : tensors_) size_ += t.numel();
}

Tensor ParameterLayout::flatten(const std::vector<Tensor>& tensors) const {
  TORCH_CHECK(tensors.size() == tensors_.size(), "natgrad: expected ", tensors_.size(),
              " tensors, one for each parameter, but got ", tensors.size(), ".");
  std::vector<Tensor> pieces;
  pieces.reserve(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].defined()) {
      pieces.push_back(torch::zeros({tensors_[i].numel()}, options()));
      continue;
    }
    TORCH_CHECK(tensors[i].layout() == torch::kStrided, "natgrad: the gradient of parameter ", i,
                " is ", tensors[i].layout(),
                "; natgrad needs dense gradients: set sparse(false) on the embedding.");
    TORCH_CHECK(tensors[i].sizes() == tensors_[i].sizes(), "natgrad: parameter ", i,
                " is of shape ", tensors_[i].sizes(), " but the tensor given for it is of shape ",
                tensors[i].sizes(), ".");
    pieces.push_back(tensors[i].dim() == 1 ? tensors[i] : tensors[i].reshape(-1));
  }
  const auto flat = torch::cat(pieces);
  return flat.dtype() == options().dtype() ? flat : flat.to(options().dtype());
}

std::vector<Tensor> ParameterLayout::views(const Tensor& flat) const {
  TORCH_CHECK(flat.dim() == 1 && flat.numel() == size_, "natgrad: expected a vector of [", size_,
              "] but got shape ", flat.sizes(), ".");
  std::vector<int64_t> lengths;
  for (const auto& t : tensors_) lengths.push_back(t.numel());
  auto views = flat.split_with_sizes(lengths);
  for (size_t i = 0; i < views.size(); ++i) {
    if (tensors_[i].dim() != 1) views[i] = views[i].view(tensors_[i].sizes());
  }
  return views;
}

Tensor ParameterLayout::values() const {
  torch::NoGradGuard no_grad;
  return flatten(tensors_);
}

void ParameterLayout::assign(const Tensor& flat) const {
  torch::NoGradGuard no_grad;
  const auto pieces = views(flat);
  for (size_t i = 0; i < tensors_.size(); ++i) Tensor(tensors_[i]).copy_(pieces[i]);
}

}  // namespace natgrad
