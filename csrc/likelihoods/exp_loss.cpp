#include <fmt/format.h>
#include <natgrad/likelihoods/exp_loss.h>
#include <torch/torch.h>

#include "likelihoods/divided.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "likelihoods/differentiate.h"
#include "likelihoods/fixed_tensor.h"
#include "likelihoods/inverse_distribution.h"
#include "likelihoods/numerical_kl.h"

namespace natgrad {

using torch::Tensor;

namespace {

const std::string kIntegrand = "ExpLoss: exp(-L)";
constexpr int64_t kChecked = 16;
// Relative differences of Z: the quadrature's five digits, with room.
constexpr double kConstant = 1e-4;
// Draws are from a density that is linear between steps of 1/64 in the rule's variable.
constexpr int kDrawLevel = 6;

/// Finite outputs in double, [n], n <= 16, ascending, the smallest and the largest among them.
Tensor some_outputs(const Tensor& outputs) {
  const auto flat = outputs.detach().reshape(-1).to(torch::kDouble);
  const auto sorted = std::get<0>(flat.index({flat.isfinite()}).sort());
  const auto n = sorted.numel();
  if (n <= kChecked) return sorted;
  const auto at = torch::linspace(0, static_cast<double>(n - 1), kChecked, sorted.options());
  return sorted.index_select(0, at.round().to(torch::kLong));
}

/// Throws unless log Z is the same for all z.
void check_constant(const Tensor& log_normaliser, const Tensor& z) {
  const auto low = log_normaliser.argmin(), high = log_normaliser.argmax();
  const double least = log_normaliser[low].item<double>();
  const double most = log_normaliser[high].item<double>();
  if (most - least <= kConstant) return;
  TORCH_CHECK_VALUE(
      false,
      fmt::format("natgrad: ExpLoss: the normaliser Z(z) = ∫ exp(-L(y, z)) dy is finite but not "
                  "constant: {:g} at z = {:g}, {:g} at z = {:g}. So L is not -log r: that is "
                  "L + log Z(z), another objective with its own minimum. Add log Z(z) to the loss "
                  "if you mean the distribution; keep the loss as it is with "
                  "natgrad::outputs(z), whose curvature is the Gauss-Newton matrix.",
                  std::exp(least), z[low].item<double>(), std::exp(most), z[high].item<double>()));
}

}  // namespace

ExpLoss::ExpLoss(Tensor outputs, Loss loss, Domain domain)
    : Likelihood(std::move(outputs)), loss_(std::move(loss)), domain_(std::move(domain)) {
  TORCH_CHECK(loss_, "natgrad: an ExpLoss needs a function, but got none.");
  checked_ = some_outputs(this->outputs());
  text_ = fmt::format("ExpLoss(y in {}, ", domain_.describe());
  if (checked_.numel() == 0) return;
  const LogDensity f = [this](const Tensor& y, const Tensor& z) { return log_density(y, z); };
  const auto [level, r] = converge(f, checked_, domain_, kIntegrand);
  level_ = level;
  check_fixed(loss_(r.nodes, checked_.unsqueeze(1).expand_as(r.nodes)), "the loss of an ExpLoss");
  check_constant(r.log_normaliser, checked_);
  log_normaliser_ = r.log_normaliser.mean().item<double>();
  text_ += fingerprint(r.probabilities);
}

std::string ExpLoss::describe() const { return text_ + ")"; }

Tensor ExpLoss::log_density(const Tensor& y, const Tensor& z) const { return -loss_(y, z); }

void ExpLoss::check_targets(const Tensor& y) const {
  check_same_shape(y);
  check_support(y, domain_.contains(y),
                "an ExpLoss target lies in " + domain_.describe() + " and is finite");
}

Tensor ExpLoss::compute_log_prob(const Tensor& y) const {
  const auto value = log_density(y, outputs());
  TORCH_CHECK(value.sizes() == y.sizes(),
              "natgrad: the loss of an ExpLoss is elementwise, but gave ", value.sizes(), " for ",
              y.sizes(), ".");
  return value - log_normaliser_;
}

Tensor ExpLoss::compute_score(const Tensor& y) const {
  return differentiate([&](const Tensor& z) { return log_density(y, z); }, outputs()).first;
}

ExpLoss::Tables ExpLoss::tables_at(const Tensor& z) const {
  const auto f = [this](const Tensor& y, const Tensor& z) { return log_density(y, z); };
  const auto density = evaluate(f, z, domain_, std::max(level_, kDrawLevel), kIntegrand);
  return {density.fisher(), std::make_shared<const InverseDistribution>(density, domain_)};
}

Tensor ExpLoss::for_outputs(const std::function<Tensor(const Tables&)>& of) const {
  const auto flat = outputs().detach().reshape(-1).to(torch::kDouble);
  const auto rows = rows_at_once(domain_, std::max(level_, kDrawLevel));
  std::vector<Tensor> parts;
  if (flat.numel() <= rows) {
    parts.push_back(of(tables_.get(outputs(), [&] { return tables_at(flat); })));
  } else {
    for (const auto& z : flat.split(rows)) parts.push_back(of(tables_at(z)));
  }
  return torch::cat(parts).view(outputs().sizes()).to(outputs().scalar_type());
}

const Tensor& ExpLoss::fisher() const {
  return fisher_.get(outputs(), [this] {
    return for_outputs([](const Tables& tables) { return tables.fisher; });
  });
}

Tensor ExpLoss::fisher_multiply(const Tensor& v) const { return fisher() * v; }

Tensor ExpLoss::factor_multiply(const Tensor& r) const { return fisher().sqrt() * r; }

Tensor ExpLoss::fisher_solve(const Tensor& v) const { return divided(v, fisher()); }

Tensor ExpLoss::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  return for_outputs([&](const Tables& tables) {
    const auto uniform = torch::empty_like(tables.fisher).uniform_(0, 1, generator);
    return (*tables.inverse)(uniform.unsqueeze(1)).squeeze(1);
  });
}

bool ExpLoss::hessian_is_fisher() const {
  if (checked_.numel() == 0) return false;
  const auto f = [this](const Tensor& y, const Tensor& z) { return log_density(y, z); };
  return natgrad::hessian_is_fisher(f, checked_, domain_, level_, kIntegrand);
}

bool ExpLoss::same_family(const Likelihood& other) const {
  const auto* loss = dynamic_cast<const ExpLoss*>(&other);
  if (!loss || domain_.describe() != loss->domain_.describe()) return false;
  if (checked_.numel() == 0) return describe() == other.describe();
  const auto values = [&](const ExpLoss& of) {
    const auto f = [&of](const Tensor& y, const Tensor& z) { return of.log_density(y, z); };
    return evaluate(f, checked_, domain_, level_, kIntegrand).probabilities;
  };
  return torch::equal(values(*this), values(*loss));
}

Tensor ExpLoss::compute_kl(const Likelihood& other) const {
  const auto f = [this](const Tensor& y, const Tensor& z) { return log_density(y, z); };
  return kl_by_quadrature(f, outputs(), other.outputs(), domain_, level_, kIntegrand);
}

}  // namespace natgrad
