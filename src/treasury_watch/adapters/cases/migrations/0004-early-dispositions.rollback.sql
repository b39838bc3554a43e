DROP TABLE cases.early_disposition;
