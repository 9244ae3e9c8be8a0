#include <ATen/Context.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <natgrad/likelihoods/independent_product.h>
#include <torch/torch.h>

#include <algorithm>

namespace natgrad {

using torch::Tensor;

namespace {

/// A target as the family takes it: its shape and dtype are those of a draw, for which outputs that
/// are not finite, after a step too large, are zeros. The default generator does not advance.
Tensor some_target(const IndependentProduct::Part& part, const Likelihood& likelihood) {
  const auto& z = likelihood.outputs();
  const auto generator = at::globalContext().defaultGenerator(z.device()).clone();
  if (z.isfinite().all().item<bool>()) return likelihood.sample(generator);
  return part.make(z.detach().nan_to_num(0, 0, 0))->sample(generator);
}

/// By example, from a number per observation.
Tensor sum_of_examples(const Tensor& per_observation) {
  return per_observation.dim() > 1 ? per_observation.flatten(1).sum(1) : per_observation;
}

}  // namespace

IndependentProduct::IndependentProduct(Tensor outputs, std::vector<Part> parts)
    : Likelihood(std::move(outputs)) {
  const auto& z = this->outputs();
  TORCH_CHECK(!parts.empty(), "natgrad: an IndependentProduct needs parts, but got none.");
  TORCH_CHECK(z.dim() >= 2, "natgrad: an IndependentProduct has outputs [N, M, ...], but got ",
              z.sizes(), ".");
  int64_t output = 0, target = 0;
  for (const auto& part : parts) {
    blocks_.push_back(block(part, output, target));
    output += blocks_.back().outputs;
    target += blocks_.back().targets;
  }
  TORCH_CHECK(output == z.size(1), "natgrad: the parts of an IndependentProduct have ", output,
              " outputs together, but z of shape ", z.sizes(), " has ", z.size(1),
              " in dimension 1.");
}

IndependentProduct::Block IndependentProduct::block(const Part& part, int64_t first_output,
                                                    int64_t first_target) const {
  const auto& z = outputs();
  TORCH_CHECK(part.make && part.outputs > 0 && first_output + part.outputs <= z.size(1),
              "natgrad: a part of an IndependentProduct has a family and at least one output, and "
              "all parts together the ",
              z.size(1), " of z; but a part from output ", first_output, " on has ", part.outputs,
              ".");
  const auto slice = z.narrow(1, first_output, part.outputs);
  const auto likelihood = part.make(slice);
  TORCH_CHECK(likelihood && likelihood->outputs().is_same(slice),
              "natgrad: a part of an IndependentProduct makes a likelihood of the outputs it is "
              "given, but this one has others: ",
              likelihood ? likelihood->describe() : "none", ".");
  const auto y = some_target(part, *likelihood);
  const auto one = slice.select(1, 0);
  const bool one_column = y.sizes() == one.sizes();
  TORCH_CHECK(one_column || (y.dim() == z.dim() && y.select(1, 0).sizes() == one.sizes()),
              "natgrad: ", likelihood->describe(),
              " cannot be a part of an IndependentProduct: its targets, of shape ", y.sizes(),
              ", do not lie side by side along dimension 1.");
  const auto targets = one_column ? 1 : y.size(1);
  return {likelihood, first_output, part.outputs,   first_target,
          targets,    one_column,   y.scalar_type()};
}

std::string IndependentProduct::describe() const {
  std::vector<std::string> texts;
  for (const auto& b : blocks_) {
    texts.push_back(fmt::format("{} of {}", b.outputs, b.likelihood->describe()));
  }
  return fmt::format("IndependentProduct({})", fmt::join(texts, ", "));
}

bool IndependentProduct::same_family(const Likelihood& other) const {
  const auto* product = dynamic_cast<const IndependentProduct*>(&other);
  return product && std::equal(blocks_.begin(), blocks_.end(), product->blocks_.begin(),
                               product->blocks_.end(), [](const Block& a, const Block& b) {
                                 return a.outputs == b.outputs &&
                                        a.likelihood->same_family(*b.likelihood);
                               });
}

Tensor IndependentProduct::outputs_of(const Block& block, const Tensor& t) {
  return t.narrow(1, block.first_output, block.outputs);
}

Tensor IndependentProduct::targets_of(const Block& block, const Tensor& y) {
  const auto columns = y.narrow(1, block.first_target, block.targets);
  const auto targets = block.one_column ? columns.squeeze(1) : columns;
  return at::isFloatingType(block.target_type) ? targets : targets.to(block.target_type);
}

Tensor IndependentProduct::as_columns(const Block& block, const Tensor& targets) const {
  const auto columns = block.one_column ? targets.unsqueeze(1) : targets;
  return columns.to(outputs().scalar_type());
}

Tensor IndependentProduct::join(const std::function<Tensor(const Block& block)>& of) const {
  std::vector<Tensor> columns;
  for (const auto& b : blocks_) columns.push_back(of(b));
  return torch::cat(columns, 1);
}

void IndependentProduct::check_part(const Block& block, const Tensor& targets) {
  try {
    block.likelihood->check_targets(targets);
  } catch (c10::Error& error) {
    error.add_context(fmt::format("in the part of y from y[:, {}] on, for {}", block.first_target,
                                  block.likelihood->describe()));
    throw;
  }
}

void IndependentProduct::check_targets(const Tensor& y) const {
  auto expected = outputs().sizes().vec();
  expected[1] = blocks_.back().first_target + blocks_.back().targets;
  check_shape(y, expected);
  for (const auto& b : blocks_) {
    if (!at::isFloatingType(b.target_type)) {
      const auto first = b.first_target, last = first + b.targets;
      const auto column = torch::arange(y.size(1), y.device());
      auto whole = y.eq(y.floor()).logical_and(y.isfinite()).movedim(1, -1);
      whole = whole.logical_or(column.lt(first).logical_or(column.ge(last))).movedim(-1, 1);
      check_support(y, whole,
                    fmt::format("columns {} to {} of y are whole numbers, for {}", first, last - 1,
                                b.likelihood->describe()));
    }
    check_part(b, targets_of(b, y));
  }
}

Tensor IndependentProduct::align(const Tensor& per_observation) const {
  std::vector<int64_t> shape(outputs().dim(), 1);
  shape[0] = outputs().size(0);
  return per_observation.reshape(shape);
}

Tensor IndependentProduct::compute_log_prob(const Tensor& y) const {
  Tensor total = torch::zeros({outputs().size(0)}, outputs().options());
  for (const auto& b : blocks_) {
    total = total + sum_of_examples(b.likelihood->log_prob(targets_of(b, y)));
  }
  return total;
}

Tensor IndependentProduct::compute_score(const Tensor& y) const {
  return join([&](const Block& b) { return b.likelihood->score(targets_of(b, y)); });
}

Tensor IndependentProduct::fisher_multiply(const Tensor& v) const {
  return join([&](const Block& b) { return b.likelihood->fisher_multiply(outputs_of(b, v)); });
}

Tensor IndependentProduct::factor_multiply(const Tensor& r) const {
  return join([&](const Block& b) { return b.likelihood->factor_multiply(outputs_of(b, r)); });
}

Tensor IndependentProduct::fisher_solve(const Tensor& v) const {
  return join([&](const Block& b) { return b.likelihood->fisher_solve(outputs_of(b, v)); });
}

Tensor IndependentProduct::sample(std::optional<at::Generator> generator) const {
  return join([&](const Block& b) { return as_columns(b, b.likelihood->sample(generator)); });
}

bool IndependentProduct::hessian_is_fisher() const {
  for (const auto& b : blocks_) {
    if (!b.likelihood->hessian_is_fisher()) return false;
  }
  return true;
}

Tensor IndependentProduct::compute_kl(const Likelihood& other) const {
  Tensor total = torch::zeros({outputs().size(0)}, outputs().options());
  const auto& moved = dynamic_cast<const IndependentProduct&>(other).blocks_;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    total = total + sum_of_examples(blocks_[i].likelihood->kl(*moved[i].likelihood));
  }
  return total;
}

}  // namespace natgrad
