#pragma once

// The one table of likelihood families. Adding a family is adding its line to one of its parts:
// every test that is parameterised over `likelihood_cases` then holds it to every property.

#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/diagonal_gaussian.h>
#include <natgrad/likelihoods/full_gaussian.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/huber.h>
#include <natgrad/likelihoods/laplace.h>
#include <natgrad/likelihoods/log_std_gaussian.h>
#include <natgrad/likelihoods/log_variance_gaussian.h>
#include <natgrad/likelihoods/natural_gaussian.h>
#include <natgrad/likelihoods/poisson.h>
#include <natgrad/likelihoods/residual_spread.h>

#include "support/exponential_families.h"
#include "support/location_families.h"

namespace natgrad::testing {

inline std::vector<LikelihoodFamily> common_families() {
  const auto first = [](const Tensor& a, const Tensor&) { return a; };
  const auto natural_line =
      paired_line([](const Tensor& a, const Tensor& b) { return -0.5 * a / b; },
                  [](const Tensor&, const Tensor& b) { return (-0.5 / b).sqrt(); });
  const auto log_std_line =
      paired_line(first, [](const Tensor&, const Tensor& s) { return s.exp(); });
  const auto log_variance_line =
      paired_line(first, [](const Tensor&, const Tensor& s) { return s.exp().sqrt(); });
  const auto residuals = [](const TensorMap& sigma) {
    return [=](const Tensor& z) { return real_line(torch::zeros_like(z), sigma(z)); };
  };
  const auto negative = on_second_half([](const Tensor& b) { return -0.3 - b.abs(); });
  const auto within = [](double limit) {
    return on_second_half([=](const Tensor& s) { return s.clamp(-limit, limit); });
  };
  const auto countable = [](const Tensor& z) { return z.clamp_max(30); };
  const auto for_each_output = some_variances({2}), for_each_element = some_variances({3, 2});
  const auto one_for_all = some_covariances(1, 2)[0], one_for_each = some_covariances(3, 2);
  return {
      {"Categorical", of<Categorical>(), classes(1), {{4, 3}, {1, 2}, {2, 3, 4}, {2, 3, 2, 2}}},
      {"CategoricalDim0", of<Categorical>(0), classes(0), {{5}, {3, 4}}},
      {"CategoricalLastDim", of<Categorical>(-1), classes(-1), {{2, 3, 4}}},
      {"Bernoulli", of<Bernoulli>(), enumerate_binary, {{5}, {4, 3}, {}}},
      {"Gaussian", of<Gaussian>(), gaussian_line(1), {{5}, {4, 2}, {}}},
      {"GaussianVariance", of<Gaussian>(0.09), gaussian_line(0.09), {{3, 2}}},
      {"DiagonalGaussian",
       of<DiagonalGaussian>(for_each_output),
       gaussian_line(for_each_output),
       {{4, 2}, {3, 1, 2}}},
      {"DiagonalGaussianElements",
       of<DiagonalGaussian>(for_each_element),
       gaussian_line(for_each_element),
       {{3, 2}}},
      {"FullGaussian", of<FullGaussian>(one_for_all), gaussian_space(one_for_all), {{4, 2}}},
      {"FullGaussianExamples",
       of<FullGaussian>(one_for_each),
       gaussian_space(one_for_each),
       {{3, 2}}},
      {"NaturalGaussian",
       of<NaturalGaussian>(),
       natural_line,
       {{4, 2}, {3, 4}, {2, 4, 2}},
       negative},
      {"LogStdGaussian", of<LogStdGaussian>(), log_std_line, {{4, 2}, {3, 4}}, within(20)},
      {"LogVarianceGaussian",
       of<LogVarianceGaussian>(),
       log_variance_line,
       {{4, 2}, {3, 4}},
       within(40)},
      {"ResidualSpread",
       of<ResidualSpread>(),
       residuals([](const Tensor& z) { return z.exp().sqrt(); }),
       {{5}, {4, 2}, {}},
       [](const Tensor& z) { return z.clamp(-40, 40); }},
      {"ResidualSpreadVariance",
       of<ResidualSpread>(ResidualSpread::By::Variance),
       residuals([](const Tensor& z) { return z.sqrt(); }),
       {{5}, {4, 2}, {}},
       [](const Tensor& z) { return 5 + z.abs().clamp_max(1e3); }},
      {"ResidualSpreadLogDeviation",
       of<ResidualSpread>(ResidualSpread::By::LogDeviation),
       residuals([](const Tensor& z) { return z.exp(); }),
       {{5}, {4, 2}, {}},
       [](const Tensor& z) { return z.clamp(-20, 20); }},
      {"ResidualSpreadDeviation",
       of<ResidualSpread>(ResidualSpread::By::Deviation),
       residuals([](const Tensor& z) { return z; }),
       {{5}, {4, 2}, {}},
       [](const Tensor& z) { return 5 + z.abs().clamp_max(1e3); }},
      {"Poisson", of<Poisson>(), enumerate_counts, {{5}, {4, 3}, {}}, countable, true},
      {"Laplace", of<Laplace>(), tails(0, 1), {{5}, {4, 2}, {}}, any_number, false, false},
      {"LaplaceScale", of<Laplace>(0.3), tails(0, 1 / 0.3), {{3, 2}}, any_number, false, false},
      {"Huber", of<Huber>(), tails(1, 1), {{5}, {4, 2}, {}}},
      {"HuberScale", of<Huber>(0.7, 0.5), tails(0.7 * 0.5, 0.7 / 0.5), {{3, 2}}},
  };
}

/// All of them.
inline std::vector<LikelihoodFamily> likelihood_families() {
  auto families = common_families();
  for (const auto& more : {exponential_families(), location_families()}) {
    families.insert(families.end(), more.begin(), more.end());
  }
  return families;
}

/// One family at one shape of z.
struct LikelihoodCase {
  std::string name;
  LikelihoodFamily family;
  Tensor outputs;

  std::shared_ptr<Likelihood> make() const { return family.make(outputs); }
  Support support() const { return family.support(outputs); }
};

inline std::ostream& operator<<(std::ostream& out, const LikelihoodCase& c) {
  return out << c.name;
}

inline std::vector<LikelihoodCase> likelihood_cases() {
  std::vector<LikelihoodCase> cases;
  for (const auto& family : likelihood_families()) {
    for (const auto& shape : family.shapes) {
      auto name = family.name + "_";
      for (const auto n : shape) name += std::to_string(n) + "x";
      name.back() = shape.empty() ? 's' : name.back();  // "_s": a scalar
      if (!shape.empty()) name.pop_back();
      cases.push_back({name, family, family.domain(1.5 * randn(shape, 20 + cases.size()))});
    }
  }
  return cases;
}

inline std::string likelihood_case_name(const ::testing::TestParamInfo<LikelihoodCase>& info) {
  return info.param.name;
}

}  // namespace natgrad::testing
