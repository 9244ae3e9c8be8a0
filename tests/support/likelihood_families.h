#pragma once

// The one table of likelihood families. Adding a family is adding its line here: every test that is
// parameterised over `likelihood_cases` then holds it to every property.

#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/quadrature.h"

namespace natgrad::testing {

struct LikelihoodFamily {
  std::string name;
  std::function<std::shared_ptr<Likelihood>(const Tensor& z)> make;
  std::function<Support(const Tensor& z)> support;
  std::vector<std::vector<int64_t>> shapes;
};

template <class Family, class... Arguments>
auto of(Arguments... arguments) {
  return [=](const Tensor& z) { return std::make_shared<Family>(z, arguments...); };
}

inline auto classes(int64_t dim) {
  return [dim](const Tensor& z) { return enumerate_classes(z, dim); };
}

inline auto gaussian_line(double variance) {
  return [variance](const Tensor& z) { return real_line(z, std::sqrt(variance)); };
}

inline std::vector<LikelihoodFamily> likelihood_families() {
  return {
      {"Categorical", of<Categorical>(), classes(1), {{4, 3}, {1, 2}, {2, 3, 4}, {2, 3, 2, 2}}},
      {"CategoricalDim0", of<Categorical>(0), classes(0), {{5}, {3, 4}}},
      {"CategoricalLastDim", of<Categorical>(-1), classes(-1), {{2, 3, 4}}},
      {"Bernoulli", of<Bernoulli>(), enumerate_binary, {{5}, {4, 3}, {}}},
      {"Gaussian", of<Gaussian>(), gaussian_line(1), {{5}, {4, 2}, {}}},
      {"GaussianVariance", of<Gaussian>(0.09), gaussian_line(0.09), {{3, 2}}},
  };
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
      cases.push_back({name, family, 1.5 * randn(shape, 20 + cases.size())});
    }
  }
  return cases;
}

inline std::string likelihood_case_name(const ::testing::TestParamInfo<LikelihoodCase>& info) {
  return info.param.name;
}

}  // namespace natgrad::testing
