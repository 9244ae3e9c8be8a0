// The presets on batches that change from step to step, as small as people take them, and K-FAC
// with an eighth of each for its factors: no training ends above its start, and most go far below.

#include <natgrad/optim/natural_gradient.h>
#include <natgrad/optim/presets.h>

#include <algorithm>

#include "support/oracles.h"

namespace natgrad::testing::preset_safety_test {
namespace {

namespace F = torch::nn::functional;
namespace nn = torch::nn;

constexpr uint64_t kSeeds = 3;
constexpr int64_t kPart = 8;  // the whole batch over its part for the curvature

/// A model with its loss on some rows of the data.
struct Task {
  std::vector<Tensor> parameters, data;
  std::function<Tensor(const std::vector<Tensor>&)> loss;
  int64_t batch;
};

std::vector<Tensor> parameters_of(const nn::Module& a, const nn::Module& b) {
  auto all = a.parameters();
  const auto others = b.parameters();
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

/// Users and items of 8 numbers each, whose product is a rating. Most rows of an embedding are in
/// no single example of the part.
Task factorisation(uint64_t seed) {
  constexpr int64_t kUsers = 300, kItems = 200, kRatings = 6000, kRank = 4;
  torch::manual_seed(seed);
  nn::Embedding users(kUsers, 8), items(kItems, 8);
  {
    const torch::NoGradGuard no_grad;
    users->weight.mul_(0.3);
    items->weight.mul_(0.3);
  }
  const auto A = torch::randn({kUsers, kRank}), B = torch::randn({kItems, kRank});
  const auto u = torch::randint(kUsers, {kRatings}), i = torch::randint(kItems, {kRatings});
  const auto noise = 0.3 * torch::randn({kRatings});
  const auto ratings = (A.index_select(0, u) * B.index_select(0, i)).sum(1) + noise;
  const auto loss = [=](const std::vector<Tensor>& rows) mutable {
    const auto product = users->forward(rows[0]) * items->forward(rows[1]);
    return F::mse_loss(product.sum(1), rows[2]);
  };
  return {parameters_of(*users, *items), {u, i, ratings}, loss, 512};
}

/// Do the two go together?
Task two_towers(uint64_t seed) {
  constexpr int64_t kPairs = 2048, kIn = 20;
  torch::manual_seed(seed);
  const auto tower = [=] {
    return nn::Sequential(nn::Linear(kIn, 32), nn::ReLU(), nn::Linear(32, 16));
  };
  auto left = tower(), right = tower();
  const auto x = torch::randn({kPairs, kIn}), y = torch::randn({kPairs, kIn});
  const auto affinity = (x.mm(torch::randn({kIn, kIn}) / 5) * y).sum(1);
  const auto labels = (affinity + 0.5 * torch::randn({kPairs}) > 0).to(torch::kFloat);
  const auto loss = [=](const std::vector<Tensor>& rows) mutable {
    const auto logits = (left->forward(rows[0]) * right->forward(rows[1])).sum(1);
    return F::binary_cross_entropy_with_logits(logits, rows[2]);
  };
  return {parameters_of(*left, *right), {x, y, labels}, loss, 256};
}

Task classifier(uint64_t seed) {
  constexpr int64_t kExamples = 1024, kIn = 20, kClasses = 10;
  torch::manual_seed(seed);
  nn::Sequential model(nn::Linear(kIn, 64), nn::ReLU(), nn::Linear(64, 64), nn::ReLU(),
                       nn::Linear(64, kClasses));
  const auto x = torch::randn({kExamples, kIn});
  const auto scores = x.mm(torch::randn({kIn, 30})).tanh().mm(torch::randn({30, kClasses}));
  const auto labels = (scores + torch::randn({kExamples, kClasses})).argmax(1);
  const auto loss = [=](const std::vector<Tensor>& rows) mutable {
    return F::cross_entropy(model->forward(rows[0]), rows[1]);
  };
  return {model->parameters(), {x, labels}, loss, 64};
}

/// Noise that a batch of 64 can be fitted to.
Task noisy_regression(uint64_t seed) {
  constexpr int64_t kExamples = 1024, kIn = 8;
  torch::manual_seed(seed);
  nn::Sequential model(nn::Linear(kIn, 64), nn::ReLU(), nn::Linear(64, 64), nn::ReLU(),
                       nn::Linear(64, 1));
  const auto x = torch::randn({kExamples, kIn});
  const auto y = x.mm(torch::randn({kIn, 30})).sin().mm(torch::randn({30, 1}) / 3);
  const auto noise = 0.3 * torch::randn({kExamples, 1});
  const auto loss = [=](const std::vector<Tensor>& rows) mutable {
    return F::mse_loss(model->forward(rows[0]), rows[1]);
  };
  return {model->parameters(), {x, y + noise}, loss, 64};
}

struct Case {
  std::string name;
  Task (*task)(uint64_t seed);
  bool is_kfac;
  int64_t epochs;
  double most_left;  ///< of the loss at the start
};

/// Steps with a new batch each.
class Course {
 public:
  Course(const Case& of, uint64_t seed)
      : of_(of),
        task_(of.task(seed)),
        optimizer_(task_.parameters, of.is_kfac ? presets::kfac() : presets::hessian_free()) {}

  double whole_loss() const {
    const torch::NoGradGuard no_grad;
    return task_.loss(task_.data).item<double>();
  }

  void epoch() {
    const auto size = task_.data[0].size(0);
    const auto order = torch::randperm(size);
    for (int64_t at = 0; at + task_.batch <= size; at += task_.batch) {
      step_on(order.narrow(0, at, task_.batch));
    }
  }

 private:
  void step_on(const Tensor& rows) {
    const auto batch = rows_of(rows), part = rows_of(rows.narrow(0, 0, task_.batch / kPart));
    const auto loss = [&] { return task_.loss(batch); };
    const auto loss_of_part = [&] { return task_.loss(part); };
    of_.is_kfac ? optimizer_.step(Batches{Batch(loss), Batch(loss_of_part)})
                : optimizer_.step(loss);
  }

  std::vector<Tensor> rows_of(const Tensor& rows) const {
    std::vector<Tensor> chosen;
    for (const auto& tensor : task_.data) chosen.push_back(tensor.index_select(0, rows));
    return chosen;
  }

  const Case& of_;
  Task task_;
  NaturalGradient optimizer_;
};

class PresetSafetyTest : public ::testing::TestWithParam<Case> {};

TEST_P(PresetSafetyTest, TheLossOfAllExamplesFalls) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Course course(GetParam(), seed);
    const double start = course.whole_loss();
    for (int64_t k = 0; k < GetParam().epochs; ++k) course.epoch();
    EXPECT_LT(course.whole_loss(), GetParam().most_left * start) << "seed " << seed;
  }
}

// Before, K-FAC ended the first three at infinity, 6e7 and 1e21, and the Hessian-free method the
// factorisation at 2e4 and the regression at 1e11.
INSTANTIATE_TEST_SUITE_P(
    Presets, PresetSafetyTest,
    ::testing::Values(Case{"KfacFactorisation", factorisation, true, 8, 0.3},
                      Case{"KfacTwoTowers", two_towers, true, 8, 0.6},
                      Case{"KfacClassifier", classifier, true, 8, 0.6},
                      Case{"KfacNoisyRegression", noisy_regression, true, 8, 1},
                      Case{"HessianFreeFactorisation", factorisation, false, 4, 0.5},
                      Case{"HessianFreeTwoTowers", two_towers, false, 4, 0.8},
                      Case{"HessianFreeClassifier", classifier, false, 4, 0.7},
                      Case{"HessianFreeNoisyRegression", noisy_regression, false, 4, 1}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace natgrad::testing::preset_safety_test
