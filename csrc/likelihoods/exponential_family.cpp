#include <fmt/format.h>
#include <fmt/ranges.h>
#include <natgrad/likelihoods/exponential_family.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>

#include "likelihoods/quadrature.h"
#include "likelihoods/semidefinite.h"

namespace natgrad {

using torch::Tensor;

namespace {

// A difference of this share of its terms has lost as many digits.
constexpr double kCancelled = 1e-3;

/// The first row of z where `bad` is true, as "z[2] = (0.5, -3)".
std::string first_row(const Tensor& z, const Tensor& bad) {
  const auto i = bad.to(torch::kUInt8).argmax().item<int64_t>();
  const auto row = z[i].detach().to(torch::kCPU, torch::kDouble).contiguous();
  const auto* numbers = row.const_data_ptr<double>();
  return fmt::format("z[{}] = ({:g})", i, fmt::join(numbers, numbers + row.numel(), ", "));
}

double root_of_rounding(const Tensor& t) {
  return std::sqrt(t.scalar_type() == torch::kDouble ? std::numeric_limits<double>::epsilon()
                                                     : std::numeric_limits<float>::epsilon());
}

/// V √Λ of symmetric matrices V Λ Vᵀ, with what rounding leaves below zero as zero.
Tensor spectral_factor(const Tensor& matrices) {
  const auto [eigenvalues, vectors] = torch::linalg_eigh(matrices.nan_to_num());
  return vectors * eigenvalues.clamp_min(0).sqrt().unsqueeze(-2);
}

/// B with B Bᵀ = F, for F positive semi-definite: Cholesky's where there is one.
Tensor semidefinite_factor(const Tensor& f) {
  const auto [cholesky, info] = torch::linalg_cholesky_ex(f);
  auto factor = cholesky.clone();
  const auto singular = info.ne(0).nonzero().squeeze(1);
  if (singular.numel() > 0) {
    factor.index_copy_(0, singular, spectral_factor(f.index_select(0, singular)));
  }
  return where_finite(f, factor);
}

}  // namespace

ExponentialFamily::ExponentialFamily(Tensor outputs, ExponentialFamilyOptions options)
    : Likelihood(std::move(outputs)), options_(std::move(options)) {
  const auto& z = this->outputs();
  TORCH_CHECK(options_.statistics() && options_.log_partition(), "natgrad: ", describe(),
              " needs its .statistics(T) and its .log_partition(log Z).");
  TORCH_CHECK(z.dim() == 2, "natgrad: ", describe(),
              " needs outputs of shape [N, K], K natural parameters for each example, but got ",
              z.sizes(), ".");
  check_log_partition();
}

void ExponentialFamily::check_log_partition() const {
  torch::NoGradGuard no_grad;
  const auto& z = outputs();
  const auto bad = log_partition(z).isfinite().logical_not().logical_and(finite_rows(z));
  if (!bad.any().item<bool>()) return;
  TORCH_CHECK_VALUE(false, "natgrad: log Z of ", describe(), " is not finite at ",
                    first_row(z, bad),
                    ": no distribution has these parameters. Keep the network's outputs where log "
                    "Z is finite, as by -softplus.");
}

std::string ExponentialFamily::describe() const {
  return "ExponentialFamily(" + options_.name() + ")";
}

bool ExponentialFamily::same_family(const Likelihood& other) const {
  const auto* family = dynamic_cast<const ExponentialFamily*>(&other);
  return family && options_.same_functions(family->options_);
}

Tensor ExponentialFamily::align(const Tensor& per_observation) const {
  return per_observation.unsqueeze(1);
}

Tensor ExponentialFamily::log_partition(const Tensor& z) const {
  const auto value = options_.log_partition()(z);
  TORCH_CHECK(value.defined() && value.sizes() == torch::IntArrayRef({z.size(0)}) &&
                  value.scalar_type() == z.scalar_type(),
              "natgrad: log Z of ", describe(), " for outputs of shape ", z.sizes(),
              " is one number an example, of shape [", z.size(0), "] and dtype ", z.dtype(),
              ", but got ", value.defined() ? value.toString() : "an undefined tensor",
              " of shape ", value.defined() ? value.sizes() : torch::IntArrayRef(), ".");
  return value;
}

Tensor ExponentialFamily::statistics(const Tensor& y) const {
  torch::NoGradGuard no_grad;
  const auto value = options_.statistics()(y);
  TORCH_CHECK(value.defined() && value.sizes() == outputs().sizes(), "natgrad: T(y) of ",
              describe(), " has the outputs' shape ", outputs().sizes(),
              ", one number for each natural parameter, but for targets of shape ", y.sizes(),
              " it has ", value.defined() ? value.sizes() : torch::IntArrayRef(), ".");
  return in_precision_of_outputs(value, "T(y)");
}

// Of integer targets, torch's functions are float32.
Tensor ExponentialFamily::in_precision_of_outputs(const Tensor& value, const char* what) const {
  const auto given = value.scalar_type(), wanted = outputs().scalar_type();
  TORCH_CHECK(!value.is_floating_point() || torch::promote_types(given, wanted) == given,
              "natgrad: ", what, " of ", describe(), " is ", given, ", less than the outputs' ",
              wanted, ". Convert integer targets in it, as by y.to(torch::kDouble).");
  return value.to(wanted);
}

void ExponentialFamily::check_targets(const Tensor& y) const {
  check_same_device(y);
  TORCH_CHECK(y.is_floating_point() || at::isIntegralType(y.scalar_type(), /*includeBool=*/false),
              "natgrad: ", describe(), " needs targets that are real numbers, but got ", y.dtype(),
              ".");
  TORCH_CHECK(y.dim() >= 1 && y.size(0) == outputs().size(0), "natgrad: ", describe(),
              " with outputs of shape ", outputs().sizes(),
              " needs one target for each of the examples, dimension 0, but got the shape ",
              y.sizes(), ".");
  if (options_.support()) {
    const auto valid = options_.support()(y);
    TORCH_CHECK(valid.scalar_type() == torch::kBool && valid.sizes() == y.sizes(),
                "natgrad: the support of ", describe(), " is a bool of y's shape ", y.sizes(),
                ", but got ", valid.toString(), " of shape ", valid.sizes(), ".");
    check_support(y, valid, "a target of " + describe() + " lies in its support");
  }
  const auto t = statistics(y);
  check_support(t, t.isfinite(), "the statistics of " + describe() + " are finite", "T(y)");
}

Tensor ExponentialFamily::compute_log_prob(const Tensor& y) const {
  const auto log_prob = (outputs() * statistics(y)).sum(1) - log_partition(outputs());
  if (!options_.log_base_measure()) return log_prob;
  const auto log_h = options_.log_base_measure()(y);
  TORCH_CHECK(log_h.sizes() == log_prob.sizes(), "natgrad: log h(y) of ", describe(),
              " is one number an example, of shape ", log_prob.sizes(), ", but got ", log_h.sizes(),
              ".");
  return log_prob + in_precision_of_outputs(log_h, "log h(y)");
}

Tensor ExponentialFamily::compute_score(const Tensor& y) const {
  return statistics(y) - mean_statistics().value.detach();
}

const ExponentialFamily::MeanStatistics& ExponentialFamily::mean_statistics() const {
  return mean_statistics_.get(outputs(), [this]() -> MeanStatistics {
    const torch::AutoGradMode with_graph(true);
    const auto z = outputs().detach().clone().requires_grad_();
    const auto log_z = log_partition(z);
    check_rows(log_z, z);
    return {z, torch::autograd::grad({log_z.sum()}, {z}, {}, /*retain_graph=*/true,
                                     /*create_graph=*/true)[0]};
  });
}

// Every second one must not know the others.
void ExponentialFamily::check_rows(const Tensor& log_z, const Tensor& z) const {
  TORCH_CHECK(log_z.requires_grad(), "natgrad: log Z of ", describe(),
              " has no graph back to z. Write it in differentiable functions of z, without "
              "detach() or item().");
  const auto rows = log_z.size(0);
  const auto slope = torch::autograd::grad({log_z.slice(0, 0, rows, 2).sum()}, {z}, {},
                                           /*retain_graph=*/true)[0];
  const auto others = slope.slice(0, 1, rows, 2);
  TORCH_CHECK(!others.ne(0).logical_and(others.isfinite()).any().item<bool>(), "natgrad: log Z of ",
              describe(),
              " mixes the examples: that of one depends on z of another. Sum over dimension 1, "
              "the natural parameters, not over dimension 0.");
}

Tensor ExponentialFamily::fisher_multiply(const Tensor& v) const {
  const auto& [z, mean] = mean_statistics();
  if (!mean.requires_grad()) return torch::zeros_like(v);
  const auto product = torch::autograd::grad({mean}, {z}, {v}, /*retain_graph=*/true,
                                             /*create_graph=*/false, /*allow_unused=*/true)[0];
  return product.defined() ? product.clone(at::MemoryFormat::Contiguous) : torch::zeros_like(v);
}

Tensor ExponentialFamily::hessian() const {
  std::vector<Tensor> columns;
  for (int64_t k = 0; k < outputs().size(1); ++k) {
    const auto direction = torch::zeros_like(outputs());
    direction.select(1, k).fill_(1);
    columns.push_back(fisher_multiply(direction));
  }
  const auto hessian = torch::stack(columns, 2);
  return 0.5 * (hessian + hessian.mT());
}

// F_R = E[TTᵀ] - E[T]E[T]ᵀ is rounded as its two terms are.
void ExponentialFamily::check_convex(const Tensor& f, const Tensor& factor) const {
  const auto size = f.abs().amax({1, 2}) + mean_statistics().value.detach().square().sum(1);
  const auto left = (f - factor.matmul(factor.mT())).abs().amax({1, 2});
  const auto bad = left > root_of_rounding(f) * size;
  if (!bad.any().item<bool>()) return;
  TORCH_CHECK_VALUE(false, "natgrad: log Z of ", describe(),
                    " is convex, but its Hessian has negative eigenvalues at ",
                    first_row(outputs(), bad),
                    ". Check the sign of log Z, and that r = h exp(zᵀT - log Z) sums to one.");
}

Tensor ExponentialFamily::make_factor() const {
  const torch::NoGradGuard no_grad;
  const auto f = hessian();
  const auto factor = semidefinite_factor(f);
  check_convex(f, factor);
  return factor;
}

Tensor ExponentialFamily::factor_multiply(const Tensor& r) const {
  if (r.numel() == 0) return torch::zeros_like(r);
  const auto& B = factor_.get(outputs(), [this] { return make_factor(); });
  return B.matmul(r.unsqueeze(-1)).squeeze(-1);
}

Tensor ExponentialFamily::fisher_solve(const Tensor& v) const {
  if (v.numel() == 0) return torch::zeros_like(v);
  const auto& inverse = inverse_.get(outputs(), [this] { return generalised_inverse(hessian()); });
  return inverse.matmul(v.unsqueeze(-1)).squeeze(-1);
}

Tensor ExponentialFamily::sample(std::optional<at::Generator> generator) const {
  TORCH_CHECK(options_.sampler(), "natgrad: ", describe(),
              " cannot be sampled: give it .sampler([](const torch::Tensor& z, "
              "std::optional<at::Generator> generator) { return y; }).");
  torch::NoGradGuard no_grad;
  return options_.sampler()(outputs().detach(), std::move(generator));
}

// The difference as it stands has the right derivatives; where its terms cancel to a thousandth,
// the value is put right by the integral ∫ (1 - s) dᵀ∇²log Z(z + s d) d ds.
Tensor ExponentialFamily::compute_kl(const Likelihood& other) const {
  const bool with_graph = torch::GradMode::is_enabled();
  const torch::AutoGradMode enable_grad(true);
  const auto d = other.outputs() - outputs();
  const auto before = log_partition(outputs()), after = log_partition(other.outputs());
  const auto slope = (mean_with_graph() * d).sum(1);
  const auto difference = after - before - slope;
  const auto size = (before.abs() + after.abs() + slope.abs()).detach();
  const auto cancels = difference.detach() < kCancelled * size;
  auto kl = difference;
  if (cancels.any().item<bool>()) {
    const auto value = torch::where(cancels, integrated_curvature(d.detach()), difference.detach());
    kl = difference + (value - difference.detach());
  }
  return with_graph ? kl : kl.detach();
}

/// ∇log Z at the outputs, as their function.
Tensor ExponentialFamily::mean_with_graph() const {
  if (!outputs().requires_grad()) return mean_statistics().value.detach();
  const auto log_z = log_partition(outputs());
  return torch::autograd::grad({log_z.sum()}, {outputs()}, {}, /*retain_graph=*/true,
                               /*create_graph=*/true)[0];
}

Tensor ExponentialFamily::integrated_curvature(const Tensor& d) const {
  auto sum = torch::zeros({d.size(0)}, d.options());
  const auto [nodes, weights] = gauss_legendre(12);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto z = (outputs().detach() + nodes[i] * d).requires_grad_();
    const auto mean = torch::autograd::grad({log_partition(z).sum()}, {z}, {}, true, true)[0];
    if (!mean.requires_grad()) continue;
    const auto product = torch::autograd::grad({mean}, {z}, {d}, false, false, true)[0];
    if (product.defined()) sum += weights[i] * (1 - nodes[i]) * (product * d).sum(1);
  }
  return sum;
}

}  // namespace natgrad
