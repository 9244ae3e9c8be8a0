#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/multinomial.h>
#include <natgrad/likelihoods/natural_negative_binomial.h>
#include <natgrad/likelihoods/negative_binomial.h>
#include <natgrad/likelihoods/poisson.h>
#include <torch/torch.h>

#include "fisher_ggn/densities.h"
#include "fisher_ggn/family_tables.h"

namespace examples {

namespace F = torch::nn::functional;
using torch::Tensor;

namespace {

Tensor cross_entropy(const Tensor& z, const Tensor& y) { return F::cross_entropy(z, y); }
Tensor binary_cross_entropy(const Tensor& z, const Tensor& y) {
  const auto sum = F::BinaryCrossEntropyWithLogitsFuncOptions().reduction(torch::kSum);
  return F::binary_cross_entropy_with_logits(z, y, sum) / z.size(0);
}
Tensor poisson_loss(const Tensor& z, const Tensor& y) {
  const auto sum = F::PoissonNLLLossFuncOptions().reduction(torch::kSum);
  return F::poisson_nll_loss(z, y, sum) / z.size(0);
}

constexpr double kFailures = 2.5;
Tensor successes_by_log_p(const Tensor& z, const Tensor& y) {
  return densities::negative_binomial(z, kFailures, y);
}
Tensor successes_by_logit(const Tensor& z, const Tensor& y) {
  return densities::negative_binomial(-torch::log(1 + torch::exp(-z)), kFailures, y);
}
/// The network keeps p below ½: beyond, a number of successes has a chance below 1e-20.
constexpr int64_t kManySuccesses = 80;

}  // namespace

std::vector<Family> discrete_families() {
  using namespace natgrad;
  using densities::bits, densities::class_counts, densities::poisson, densities::softmax;
  constexpr auto kNatural = Outputs::Natural, kNotNatural = Outputs::NotNatural;
  const auto classes = each_of(torch::arange(4, torch::kLong));
  const auto three_bits = each_of(combinations_of(torch::arange(2, torch::kDouble), 3));
  const auto sums = each_of(sums_of_three(4));
  const auto counts = each_of(counts_up_to(kManyCounts));
  const auto successes = each_of(counts_up_to(kManySuccesses));
  return {
      {"Categorical", "logits", kNatural, 4, of<Categorical>(), softmax, classes, any_number,
       cross_entropy},
      {"Bernoulli", "logits", kNatural, 3, of<Bernoulli>(), bits, three_bits, any_number,
       binary_cross_entropy},
      {"Multinomial", "logits", kNatural, 3, of<Multinomial>(int64_t{4}), class_counts, sums},
      {"Poisson", "log-rate", kNatural, 1, of<Poisson>(), poisson, counts, within(0, 2),
       poisson_loss},
      {"NaturalNegativeBinomial", "log p", kNatural, 1, of<NaturalNegativeBinomial>(kFailures),
       successes_by_log_p, successes, below(-0.7)},
      {"NegativeBinomial", "logit of p", kNotNatural, 1, of<NegativeBinomial>(kFailures),
       successes_by_logit, successes, within(-1, 1)},
  };
}

}  // namespace examples
