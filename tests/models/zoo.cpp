#include "models/zoo.h"

#include "models/models.h"

namespace zoo {

Model Entry::start(uint64_t seed) const {
  torch::manual_seed(seed);
  return make();
}

double full_loss(const Model& model) {
  if (model.measure) return model.measure();
  constexpr uint64_t kSeed = 99;
  auto generator = at::globalContext().defaultGenerator(at::kCPU);
  const auto state = generator.get_state();
  generator.set_current_seed(kSeed);
  double sum = 0;
  for (int64_t batch = 0; batch < kBatches; ++batch) sum += model.loss(batch).item<double>();
  generator.set_state(state);
  return sum / kBatches;
}

const std::vector<Entry>& zoo() {
  // Name, model, {goal, one observation an example, warnings}.
  static const std::vector<Entry> entries{
      {"bayesian_personalized_ranking", bayesian_personalized_ranking, {0, true}},
      {"bce_by_hand", bce_by_hand, {0, true}},
      {"conv_net", conv_net, {0, true}},
      {"contrastive", contrastive, {0, false}},
      {"cosine_siamese", cosine_siamese, {0, false}},
      {"cox_survival", cox_survival, {0, false}},
      {"cross_entropy_by_hand", cross_entropy_by_hand, {0, true}},
      {"ctc", ctc, {0, false}},
      {"deep_autoencoder", deep_autoencoder, {0, false}},
      {"denoising_diffusion", denoising_diffusion, {0, false}},
      {"dice_segmentation", dice_segmentation, {0, false}},
      {"distillation", distillation, {0, true}},
      {"embedding_bag", embedding_bag, {0, true}},
      {"focal_loss", focal_loss, {0, true}},
      {"gaussian_nll_by_hand", gaussian_nll_by_hand, {0, true}},
      {"gaussian_nll_loss", gaussian_nll_loss, {0, true}},
      {"graph_convolution", graph_convolution, {0, false}},
      {"gru_forecaster", gru_forecaster, {0, false}},
      {"hinge_svm", hinge_svm, {0, true}},
      {"log_cosh", log_cosh, {0, true}},
      {"lstm_classifier", lstm_classifier, {0, true}},
      {"matrix_factorisation", matrix_factorisation, {0, true}},
      {"mixture_density", mixture_density, {0, false}},
      {"mlp_classifier", mlp_classifier, {0, true}},
      {"multi_task", multi_task, {0, false}},
      {"neural_field", neural_field, {0, true}},
      {"physics_informed", physics_informed, {0, false}},
      {"poisson_counts", poisson_counts, {0, true}},
      {"ppo", ppo, {0, false}},
      {"q_learning", q_learning, {0, true}},
      {"quantile_regression", quantile_regression, {0, false}},
      {"reinforce", reinforce, {0, false}},
      {"resnet", resnet, {0, false}},
      {"scripted_module", scripted_module, {0, true}},
      {"skip_gram", skip_gram, {0, false}},
      {"sparse_autoencoder", sparse_autoencoder, {0, false}},
      {"tabular", tabular, {0, true}},
      {"tied_language_model", tied_language_model, {0, false}},
      {"transformer_classifier", transformer_classifier, {0, true}},
      {"triplet", triplet, {0, false}},
      {"two_tower", two_tower, {0, true}},
      {"variational_autoencoder", variational_autoencoder, {0, false}},
  };
  return entries;
}

}  // namespace zoo
