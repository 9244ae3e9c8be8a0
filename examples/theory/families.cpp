#include "theory/families.h"

#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/exp_loss.h>
#include <natgrad/likelihoods/exponential.h>
#include <natgrad/likelihoods/exponential_family.h>
#include <natgrad/likelihoods/full_gaussian.h>
#include <natgrad/likelihoods/gamma.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/huber.h>
#include <natgrad/likelihoods/laplace.h>
#include <natgrad/likelihoods/log_gamma.h>
#include <natgrad/likelihoods/log_rate_exponential.h>
#include <natgrad/likelihoods/log_std_gaussian.h>
#include <natgrad/likelihoods/log_variance_gaussian.h>
#include <natgrad/likelihoods/logistic.h>
#include <natgrad/likelihoods/multinomial.h>
#include <natgrad/likelihoods/natural_full_gaussian.h>
#include <natgrad/likelihoods/natural_gaussian.h>
#include <natgrad/likelihoods/natural_negative_binomial.h>
#include <natgrad/likelihoods/negative_binomial.h>
#include <natgrad/likelihoods/poisson.h>
#include <natgrad/likelihoods/student_t.h>
#include <torch/torch.h>

namespace examples::theory {
namespace {

using torch::Tensor;

using Make = decltype(Family::at);
using Map = std::function<Tensor(const Tensor& last_layer)>;

/// The family whose z is `map` of the last layer.
template <class Likelihood, class... Arguments>
Make by(Map map, Arguments... arguments) {
  return [=](const Tensor& a) { return std::make_shared<const Likelihood>(map(a), arguments...); };
}
/// Whose z is the last layer.
template <class Likelihood, class... Arguments>
Make of(Arguments... arguments) {
  return by<Likelihood>([](const Tensor& a) { return a; }, arguments...);
}

/// Where outputs must be negative.
Tensor below_zero(const Tensor& a) { return torch::log_sigmoid(a) - 0.1; }

/// (first half, -positive second half), along dimension 1.
Tensor half_negative(const Tensor& a) {
  const auto halves = a.chunk(2, 1);
  return torch::cat({halves[0], below_zero(halves[1])}, 1);
}

/// (positive, negative), along dimension 1.
Tensor positive_and_negative(const Tensor& a) {
  const auto halves = a.chunk(2, 1);
  return torch::cat({-below_zero(halves[0]), below_zero(halves[1])}, 1);
}

/// (Σ⁻¹μ, vech Σ⁻¹) of two outputs, Σ⁻¹ = L Lᵀ + ¼I.
Tensor precision_of_two(const Tensor& a) {
  const auto c = a.unbind(1);
  return torch::stack(
      {c[0], c[1], c[2] * c[2] + 0.25, c[2] * c[3], c[3] * c[3] + c[4] * c[4] + 0.25}, 1);
}

/// y in (0, 1): T = (log y, log(1 - y)).
natgrad::ExponentialFamilyOptions beta() {
  return natgrad::ExponentialFamilyOptions("Beta")
      .statistics([](const Tensor& y) {
        return torch::stack({y.log(), torch::log1p(-y)}, 1);
      })
      .log_partition([](const Tensor& z) {
        return natgrad::log_gamma(z).sum(1) - natgrad::log_gamma(z.sum(1));
      })
      .log_base_measure([](const Tensor& y) { return -y.log() - torch::log1p(-y); })
      .support([](const Tensor& y) { return y.gt(0).logical_and(y.lt(1)); })
      .sampler([](const Tensor& z, std::optional<at::Generator> generator) {
        const auto gamma = at::_standard_gamma(z, generator);
        return gamma.select(1, 0) / gamma.sum(1);
      });
}

}  // namespace

std::vector<Family> families_of_digits(const Digits& digits) {
  const auto lower = digits.coarse.narrow(1, 8, 8), three = lower.narrow(1, 2, 3),
             two = lower.narrow(1, 4, 2);
  const auto dark = (lower > 0.5).to(torch::kDouble);
  const auto quadrants =
      torch::stack({digits.coarse.index_select(1, torch::tensor({0, 1, 4, 5})).gt(0.3).sum(1),
                    digits.coarse.index_select(1, torch::tensor({2, 3, 6, 7})).gt(0.3).sum(1),
                    digits.coarse.narrow(1, 8, 8).gt(0.3).sum(1)},
                   1)
          .to(torch::kDouble);
  const auto counts = (64 * three).round(), positive = three + 0.05;
  const auto share = (digits.pixels.mean(1) * 0.98 + 0.01);
  const auto Sigma = torch::tensor({{0.2, 0.05}, {0.05, 0.1}}, torch::kDouble);
  using namespace natgrad;
  const auto log_cosh = [](const Tensor& y, const Tensor& z) { return (y - z).cosh().log(); };
  return {
      {"Categorical", "logits", true, 10, of<Categorical>(), digits.labels},
      {"Multinomial", "logits", true, 3, of<Multinomial>(quadrants.sum(1)), quadrants},
      {"Bernoulli", "logits", true, 8, of<Bernoulli>(), dark},
      {"Gaussian", "mean, σ<sup>2</sup> fixed", true, 8, of<Gaussian>(0.1), lower},
      {"FullGaussian", "mean, Σ fixed", true, 2, of<FullGaussian>(Sigma), two},
      {"NaturalGaussian", "(μ/σ<sup>2</sup>, −1/(2σ<sup>2</sup>))", true, 6,
       by<NaturalGaussian>(half_negative), three},
      {"NaturalFullGaussian", "(Σ<sup>−1</sup>μ, vech Σ<sup>−1</sup>)", true, 5,
       by<NaturalFullGaussian>(precision_of_two), two},
      {"Poisson", "log rate", true, 3, of<Poisson>(), counts},
      {"NaturalNegativeBinomial", "log p", true, 3, by<NaturalNegativeBinomial>(below_zero, 4.),
       counts},
      {"Exponential", "−rate", true, 3, by<Exponential>(below_zero), positive},
      {"Gamma", "(α, −β)", true, 6, by<Gamma>(positive_and_negative), positive},
      {"a user's Beta", "(α, β), <code>ExponentialFamily</code>", true, 2,
       by<ExponentialFamily>([](const Tensor& a) { return -below_zero(a); }, beta()), share},
      {"LogStdGaussian", "(μ, log σ)", false, 6, of<LogStdGaussian>(), three},
      {"LogVarianceGaussian", "(μ, log σ<sup>2</sup>)", false, 6, of<LogVarianceGaussian>(), three},
      {"NegativeBinomial", "logit of p", false, 3, of<NegativeBinomial>(4.), counts},
      {"LogRateExponential", "log rate", false, 3, of<LogRateExponential>(), positive},
      {"Laplace", "location", false, 3, of<Laplace>(0.2), three},
      {"Huber", "location", false, 3, of<Huber>(1., 0.1), three},
      {"StudentT", "location", false, 3, of<StudentT>(3., 0.1), three},
      {"Cauchy", "location", false, 3, of<Cauchy>(0.1), three},
      {"Logistic", "location", false, 3, of<Logistic>(0.1), three},
      {"log cosh as a density", "location, <code>ExpLoss</code>", false, 3, of<ExpLoss>(log_cosh),
       three},
  };
}

}  // namespace examples::theory
